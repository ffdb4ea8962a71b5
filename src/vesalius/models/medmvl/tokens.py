"""A checkpoint's own tokenizer: text chunks → ids with character offsets, ids → text, and the ids that mean something.

The published code fetches slow tokenizers by hub id; here the files in the checkpoint count, and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vesalius.errors import CheckpointError
from vesalius.models.parts.sentencepiece_bpe import SPACE, SentencePieceModel, decode_pieces, read_sentencepiece
from vesalius.models.weights import read_json

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = ["TERMINATORS", "MedmvlTokenizer", "Piece", "load_tokenizer"]

TERMINATORS = {
    "qwen2": "<|im_end|>",
    "llama3": "<|eot_id|>",
    "phi": "<|endoftext|>",
    "phi3": "<|endoftext|>",
    "llama": "</s>",
}
"""What ends an answer, by template."""

_PADS = {"qwen2": "pad", "llama3": "eos", "phi": "unk", "phi3": "pad", "llama": "unk"}
"""Which of its tokenizer's tokens a language model pads with."""


@dataclass(frozen=True)
class Piece:
    """One token: its id and the characters [start, end) of the chunk it came from."""

    id: int
    start: int
    end: int


@dataclass(frozen=True)
class MedmvlTokenizer:
    """`bos_id`: put in front of a sequence that begins with text, where the tokenizer adds one by itself, else None.
    `eos_id` ends an answer; `pad_id` fills batches. `special`: every special token's text."""

    tokenizer: Tokenizer
    eos_id: int
    pad_id: int
    bos_id: int | None
    special: tuple[str, ...]
    is_sentencepiece: bool = False
    prefixes_every_text: bool = False

    def pieces(self, chunk: str) -> list[Piece]:
        """Tokens of a chunk of the prompt, no BOS. Special tokens in it become single ids: user text is escaped
        before."""
        if not chunk:
            return []
        if not self.is_sentencepiece:
            return self._encoded(chunk, 0)
        if not self.prefixes_every_text:
            return self._encoded(chunk if chunk.startswith(self.special) else SPACE + chunk, 0, prefix=SPACE)
        made: list[Piece] = []
        at = 0
        for part in self._apart(chunk):
            made += self._encoded(part if part in self.special else SPACE + part, at, prefix=SPACE)
            at += len(part)
        return made

    def decode(self, ids: Sequence[int]) -> str:
        """Text without special tokens; ids past the vocabulary are nothing."""
        if not self.is_sentencepiece:
            return self.tokenizer.decode(list(ids), skip_special_tokens=True)
        known = [self.tokenizer.id_to_token(number) for number in ids]
        text = decode_pieces([piece for piece in known if piece is not None and piece not in self.special])
        return text.removeprefix(" ")

    def id_of(self, text: str) -> int:
        """The id of one special token. CheckpointError when the tokenizer does not have it as one."""
        number = self.tokenizer.token_to_id(text)
        if number is None or text not in self.special:
            raise CheckpointError(
                f"the tokenizer has no special token {text!r}.", fix="Give the tokenizer files of this language model."
            )
        return number

    def _encoded(self, text: str, at: int, prefix: str = "") -> list[Piece]:
        encoding = self.tokenizer.encode(text, add_special_tokens=False)
        shift = at - (len(prefix) if prefix and text.startswith(prefix) else 0)
        return [
            Piece(number, max(start + shift, at), max(end + shift, at))
            for number, (start, end) in zip(encoding.ids, encoding.offsets, strict=True)
        ]

    def _apart(self, chunk: str) -> list[str]:
        """The chunk cut before and after each special token."""
        parts = [chunk]
        for special in self.special:
            cut: list[str] = []
            for part in parts:
                if part in self.special:
                    cut.append(part)
                    continue
                for number, text in enumerate(part.split(special)):
                    cut += ([special] if number else []) + ([text] if text else [])
            parts = cut
        return parts


def load_tokenizer(folder: Path, llm_type: str, vocab_size: int) -> MedmvlTokenizer:
    """Read the tokenizer files of a checkpoint. CheckpointError when they are missing, damaged or of another model."""
    config = read_json(folder / "tokenizer_config.json")
    named = _named_tokens(folder, config)
    model = folder / "tokenizer.model"
    sentencepiece = model.is_file() and (llm_type in ("phi3", "llama") or not (folder / "tokenizer.json").is_file())
    stored = read_sentencepiece(model) if sentencepiece else None
    tokenizer = _tokenizer(folder, config, stored)
    _add_tokens(tokenizer, folder, config)
    special = tuple(
        added.content for added in tokenizer.get_added_tokens_decoder().values() if added.special and added.content
    )
    if tokenizer.get_vocab_size() > vocab_size:
        raise CheckpointError(
            f"the tokenizer has {tokenizer.get_vocab_size()} tokens, the model {vocab_size}.", file=folder
        )

    def number(role: str) -> int:
        text = named.get(role) or named.get("eos", "")
        found = tokenizer.token_to_id(text)
        if found is None:
            raise CheckpointError(f"the tokenizer has no {role} token {text!r}.", file=folder)
        return found

    return MedmvlTokenizer(
        tokenizer,
        number("eos"),
        number(_PADS[llm_type]),
        _bos(tokenizer, config, named, sentencepiece),
        special,
        sentencepiece,
        sentencepiece and bool(config.get("legacy", True)),
    )


def _tokenizer(folder: Path, config: dict[str, Any], stored: SentencePieceModel | None) -> Tokenizer:
    from tokenizers import Tokenizer

    if stored is not None:
        return stored.tokenizer()
    file = folder / "tokenizer.json"
    kind = str(config.get("tokenizer_class", "")).removesuffix("Fast")
    try:
        if file.is_file():
            return Tokenizer.from_file(str(file))
        if (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file():
            made = _byte_level(folder, kind)
            if made is not None:
                return made
    except Exception as exc:  # the tokenizers library raises bare Exception for damaged files
        raise CheckpointError("the tokenizer files cannot be read.", file=folder) from exc
    raise CheckpointError(
        f"the checkpoint holds no tokenizer files of a {kind or 'known'} tokenizer.",
        file=folder,
        fix="Add tokenizer.json, or vocab.json with merges.txt, or tokenizer.model.",
    )


def _byte_level(folder: Path, kind: str) -> Tokenizer | None:
    """Qwen2's and CodeGen's byte-level pair encodings out of their two files, without the tokens those classes add by
    themselves: the checkpoint's config says which there are, and their ids."""
    from tokenizers import Tokenizer

    files = {"vocab": str(folder / "vocab.json"), "merges": str(folder / "merges.txt")}
    if kind == "Qwen2Tokenizer":
        from transformers import Qwen2Tokenizer

        model = Qwen2Tokenizer(**files).backend_tokenizer
    elif kind in ("CodeGenTokenizer", "GPT2Tokenizer"):
        from transformers import CodeGenTokenizer

        model = CodeGenTokenizer(**files).backend_tokenizer
    else:
        return None
    bare = Tokenizer(model.model)
    if model.normalizer is not None:
        bare.normalizer = model.normalizer
    bare.pre_tokenizer, bare.decoder = model.pre_tokenizer, model.decoder
    return bare


def _named_tokens(folder: Path, config: dict[str, Any]) -> dict[str, str]:
    """Role ("eos", "pad", "bos", "unk") → token text."""
    path = folder / "special_tokens_map.json"
    both = {**(read_json(path) if path.is_file() else {}), **{k: v for k, v in config.items() if v is not None}}
    named: dict[str, str] = {}
    for role in ("eos", "pad", "bos", "unk"):
        value: Any = both.get(f"{role}_token")
        text = value.get("content") if isinstance(value, dict) else value
        if isinstance(text, str) and text:
            named[role] = text
    return named


def _add_tokens(tokenizer: Tokenizer, folder: Path, config: dict[str, Any]) -> None:
    """Tokens that the config adds, at the ids it gives them."""
    from tokenizers import AddedToken

    stored: Any = config.get("added_tokens_decoder", {})
    wanted: dict[int, dict[str, Any]] = {int(number): dict(token) for number, token in stored.items()}
    path = folder / "added_tokens.json"
    for text, number in (read_json(path) if path.is_file() else {}).items():
        wanted.setdefault(int(number), {"content": text, "special": True, "normalized": False})
    for number, token in sorted(wanted.items()):
        flags = {key: bool(token.get(key, False)) for key in ("lstrip", "rstrip", "normalized", "single_word")}
        added = AddedToken(str(token["content"]), special=bool(token.get("special")), **flags)
        (tokenizer.add_special_tokens if added.special else tokenizer.add_tokens)([added])
        given = tokenizer.token_to_id(added.content)
        if given != number:
            raise CheckpointError(
                f"token {added.content!r} should be {number}, the tokenizer gives {given}.", file=folder
            )


def _bos(tokenizer: Tokenizer, config: dict[str, Any], named: dict[str, str], sentencepiece: bool) -> int | None:
    """The token the tokenizer puts in front of every text by itself."""
    if sentencepiece:
        adds = bool(config.get("add_bos_token", True))
    else:
        first = tokenizer.encode("").ids[:1]
        adds = bool(first) and first[0] == tokenizer.token_to_id(named.get("bos", ""))
    return tokenizer.token_to_id(named["bos"]) if adds and "bos" in named else None
