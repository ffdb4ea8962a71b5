"""Pieces of a prompt → token ids and labels. Text of users is encoded by a tokenizer that knows no special token."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vesalius.errors import CheckpointError, InputError
from vesalius.models.hulumed.prompt import Piece

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = ["IGNORED", "Encoded", "HuluMedTokenizer"]

IGNORED = -100
"""Label of a position that is not learnt."""

_NEEDED = ("<image>", "<|im_start|>", "<|im_end|>")


@dataclass(frozen=True)
class Encoded:
    """`ids` and `labels` of one prompt, every `<image>` expanded to its tokens."""

    ids: list[int]
    labels: list[int]


class HuluMedTokenizer:
    """`special`: ids of the special tokens by name. Raises CheckpointError for a tokenizer of another model."""

    def __init__(self, folder: Path, image_token: int, vocab_size: int) -> None:
        from tokenizers import Tokenizer

        whole = _tokenizer_json(folder)
        added: list[dict[str, Any]] = whole.get("added_tokens") or []
        self.special = {str(token["content"]): int(token["id"]) for token in added}
        lacking = [name for name in _NEEDED if name not in self.special]
        if lacking:
            raise CheckpointError(f"the tokenizer lacks {', '.join(lacking)}.", file=folder)
        if self.special["<image>"] != image_token:
            raise CheckpointError(
                f"<image> is token {self.special['<image>']}, config.json's image_token_index is {image_token}.",
                file=folder,
                fix="Use the tokenizer that came with the checkpoint.",
            )
        largest = max(self.special.values())
        if largest >= vocab_size:
            raise CheckpointError(f"the tokenizer has token {largest}, the model {vocab_size} tokens.", file=folder)
        self.image_token = image_token
        self._whole: Tokenizer = Tokenizer.from_str(json.dumps(whole))
        self._plain: Tokenizer = Tokenizer.from_str(json.dumps({**whole, "added_tokens": []}))
        # <think> and </think> of the Qwen3 vocabularies: added, but part of what the model says. The list stays whole,
        # because a shorter one is numbered anew.
        self._said: Tokenizer = Tokenizer.from_str(json.dumps(whole))
        self._said.encode_special_tokens = True

    @property
    def whole(self) -> Tokenizer:
        """The tokenizer with its special tokens, as the checkpoint has it."""
        return self._whole

    def encode(self, pieces: Sequence[Piece], image_tokens: Sequence[int], *, training: bool) -> Encoded:
        """`image_tokens`: how many tokens each `<image>` of the pieces stands for.

        Neighbouring text is encoded together as the published code does; in `training` an answer is encoded apart
        from its header, so that no token is half learnt. InputError where the counts do not match.
        """
        places = sum(piece.special and piece.text == "<image>" for piece in pieces)
        if places != len(image_tokens):
            raise InputError(f"the prompt has {places} places for pictures and {len(image_tokens)} pictures or frames.")
        ids: list[int] = []
        labels: list[int] = []
        counts = iter(image_tokens)
        waiting: list[Piece] = []

        def flush() -> None:
            if not waiting:
                return
            coder = self._said if any(piece.by_model for piece in waiting) else self._plain
            text = "".join(piece.text for piece in waiting)
            found: list[int] = coder.encode(text, add_special_tokens=False).ids
            ids.extend(found)
            labels.extend(found if training and waiting[0].learnt else [IGNORED] * len(found))
            waiting.clear()

        for piece in pieces:
            if not piece.special:
                if waiting and training and waiting[-1].learnt != piece.learnt:
                    flush()
                waiting.append(piece)
                continue
            flush()
            if piece.text not in self.special:
                raise CheckpointError(f"the tokenizer lacks {piece.text}.")
            token = self.special[piece.text]
            ids += [token] * (next(counts) if piece.text == "<image>" else 1)
            labels += [token if training and piece.learnt else IGNORED] * (len(ids) - len(labels))
        flush()
        return Encoded(ids, labels)

    def decode(self, ids: Sequence[int]) -> str:
        """Text without special tokens; `<think>` stays."""
        return self._whole.decode(list(ids), skip_special_tokens=True)


def _tokenizer_json(folder: Path) -> dict[str, Any]:
    path = folder / "tokenizer.json"
    try:
        if path.is_file():
            return json.loads(path.read_text(encoding="utf-8"))
        if not (folder / "vocab.json").is_file() or not (folder / "merges.txt").is_file():
            raise CheckpointError("the checkpoint holds no tokenizer.", file=folder, fix="Add tokenizer.json.")
        from transformers import AutoTokenizer

        slow: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        return json.loads(slow.backend_tokenizer.to_str())
    except (OSError, ValueError, KeyError) as exc:
        raise CheckpointError("the tokenizer cannot be read.", file=folder) from exc
