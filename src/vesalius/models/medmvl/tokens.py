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
    """One token: its id and the characters [start, end) of the text it came from."""

    id: int
    start: int
    end: int


@dataclass(frozen=True)
class MedmvlTokenizer:
    """`bos_id`: put in front of a sequence that begins with text, where the tokenizer adds one by itself, else None.
    `eos_id` ends an answer; `pad_id` fills batches. `special`: every special token's text.

    `sentencepiece`: the model behind it, or None. `prefixes_every_text`: SentencePiece's older behaviour, a space in
    front of every text, not only of the first of a chunk.
    """

    tokenizer: Tokenizer
    eos_id: int
    pad_id: int
    bos_id: int | None
    special: frozenset[str]
    sentencepiece: SentencePieceModel | None = None
    prefixes_every_text: bool = False
    cleans_spaces: bool = False

    def pieces(self, text: str, *, first: bool) -> list[Piece]:
        """Tokens of a text, without BOS; what looks like a special token is plain text. `first`: it begins a chunk,
        so that SentencePiece puts a space in front."""
        start, prefix = 0, ""
        if self.sentencepiece is not None:
            prefix = SPACE if first or self.prefixes_every_text else ""
            if not self.prefixes_every_text:
                text = text.replace(SPACE, " ")  # as the newer published tokenizers do: a typed one is a space
            if self.prefixes_every_text and self.sentencepiece.collapses_spaces:
                start = len(text) - len(text.lstrip(" "))
        if start == len(text):
            return []
        encoding = self.tokenizer.encode(prefix + text[start:], add_special_tokens=False)
        shift = start - len(prefix)
        return [
            Piece(number, max(low + shift, 0), max(high + shift, 0))
            for number, (low, high) in zip(encoding.ids, encoding.offsets, strict=True)
        ]

    def decode(self, ids: Sequence[int]) -> str:
        """Text without special tokens; ids past the vocabulary are nothing."""
        if self.sentencepiece is None:
            text = self.tokenizer.decode(list(ids), skip_special_tokens=True)
        else:
            known = [self.tokenizer.id_to_token(number) for number in ids]
            text = decode_pieces([piece for piece in known if piece is not None and piece not in self.special])
            text = text.removeprefix(" ")
        return _cleaned(text) if self.cleans_spaces else text

    def settled(self, text: str) -> str:
        """The part of a growing answer that further tokens cannot change: not half a character, and not what a space
        would still be taken from."""
        text = text.rstrip("\ufffd")
        return text[: max(len(text) - _LONGEST_CLEANED, 0)] if self.cleans_spaces else text

    def id_of(self, text: str) -> int:
        """The id of one special token. CheckpointError when the tokenizer does not have it as one."""
        number = self.tokenizer.token_to_id(text)
        if number is None or text not in self.special:
            raise CheckpointError(
                f"the tokenizer has no special token {text!r}.", fix="Give the tokenizer files of this language model."
            )
        return number


_SPACED = (" .", " ?", " !", " ,", " n't", " 'm", " 's", " 've", " 're")
_LONGEST_CLEANED = 4


def _cleaned(text: str) -> str:
    """What the tokenizers' option `clean_up_tokenization_spaces` does, in its order."""
    for spaced in _SPACED[:4]:
        text = text.replace(spaced, spaced[1:])
    text = text.replace(" ' ", "'")
    for spaced in _SPACED[4:]:
        text = text.replace(spaced, spaced[1:])
    return text


def load_tokenizer(folder: Path, llm_type: str, vocab_size: int) -> MedmvlTokenizer:
    """Read the tokenizer files of a checkpoint. CheckpointError when they are missing, damaged or of another model."""
    config = read_json(folder / "tokenizer_config.json")
    named = _named_tokens(folder, config)
    model = folder / "tokenizer.model"
    sentencepiece = model.is_file() and (llm_type in ("phi3", "llama") or not (folder / "tokenizer.json").is_file())
    stored = read_sentencepiece(model) if sentencepiece else None
    tokenizer = _tokenizer(folder, config, stored)
    _add_tokens(tokenizer, folder, config)
    tokenizer.encode_special_tokens = True  # of text: what is a special token is said by id
    special = frozenset(added.content for added in tokenizer.get_added_tokens_decoder().values() if added.special)
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

    made = MedmvlTokenizer(
        tokenizer,
        number("eos"),
        number(_PADS[llm_type]),
        _bos(tokenizer, config, named, sentencepiece),
        special,
        stored,
        sentencepiece and bool(config.get("legacy", True)),
        bool(config.get("clean_up_tokenization_spaces", False)),
    )
    made.id_of(TERMINATORS[llm_type])
    return made


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

    vocab, merges = str(folder / "vocab.json"), str(folder / "merges.txt")
    if kind == "Qwen2Tokenizer":
        from transformers import Qwen2Tokenizer

        model = Qwen2Tokenizer(vocab=vocab, merges=merges).backend_tokenizer
    elif kind in ("CodeGenTokenizer", "GPT2Tokenizer"):
        from transformers import CodeGenTokenizer

        model = CodeGenTokenizer(vocab=vocab, merges=merges).backend_tokenizer
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
