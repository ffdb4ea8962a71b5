"""A tokenizer that keeps what people write apart from control tokens.

Control tokens enter by name through `id`; text goes through `plain`, where `<|im_end|>` or `[SEG]` is just characters.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vesalius.errors import CheckpointError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = ["ChatTokens"]


class ChatTokens:
    """The tokenizer of a checkpoint folder. `added`: special tokens that are given ids if the files lack them."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        tokenizer.encode_special_tokens = True
        tokenizer.no_truncation()
        tokenizer.no_padding()

    @classmethod
    def load(cls, folder: Path, added: Iterable[str] = ()) -> ChatTokens:
        """Read `tokenizer.json`, or build it from vocab.json and merges.txt. CheckpointError when neither is usable."""
        from tokenizers import AddedToken

        tokenizer = _read(folder)
        for content, special in [*_configured(folder), *((token, True) for token in added)]:
            if tokenizer.token_to_id(content) is None:
                token = AddedToken(content, special=special, normalized=False)
                tokenizer.add_special_tokens([token]) if special else tokenizer.add_tokens([token])
        return cls(tokenizer)

    def id(self, token: str) -> int:
        """The id of a control token. CheckpointError if the tokenizer has none."""
        found = self.tokenizer.token_to_id(token)
        if found is None:
            raise CheckpointError(f"the tokenizer has no token {token!r}.", fix="Use the checkpoint's own tokenizer.")
        return found

    def check(self, token: str, expected: int | None, key: str) -> None:
        """CheckpointError unless the token has the id the config gives under `key` (a wrong id gives wrong answers)."""
        if expected is not None and self.id(token) != expected:
            raise CheckpointError(
                f"token {token!r} has id {self.id(token)} in the tokenizer, {key} in config.json is {expected}.",
                fix="Use the checkpoint's own tokenizer.",
            )

    def plain(self, text: str) -> list[int]:
        """Ids of text in which nothing is a special token."""
        return self.plain_with_starts(text)[0]

    def plain_with_starts(self, text: str) -> tuple[list[int], list[int]]:
        """(ids, the character each starts at)."""
        if not text:
            return [], []
        encoded = self.tokenizer.encode(text, add_special_tokens=False)
        return encoded.ids, [start for start, _ in encoded.offsets]

    def decode(self, ids: Sequence[int], *, skip_special: bool = True) -> str:
        """Ids → text."""
        return self.tokenizer.decode(list(ids), skip_special_tokens=skip_special)


def _read(folder: Path) -> Tokenizer:
    from tokenizers import Tokenizer

    path = folder / "tokenizer.json"
    if path.is_file():
        try:
            return Tokenizer.from_file(str(path))
        except Exception as exc:  # the Rust reader raises bare Exception
            raise CheckpointError("tokenizer.json cannot be read.", file=path) from exc
    if not (folder / "vocab.json").is_file():
        raise CheckpointError("the checkpoint lacks its tokenizer (tokenizer.json).", file=folder)
    from transformers import AutoTokenizer

    try:
        made: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        return made.backend_tokenizer
    except (OSError, ValueError, KeyError, AttributeError) as exc:
        raise CheckpointError("the tokenizer files cannot be read.", file=folder) from exc


def _configured(folder: Path) -> list[tuple[str, bool]]:
    """(token, whether it is special) of tokenizer_config.json in order of their ids."""
    path = folder / "tokenizer_config.json"
    if not path.is_file():
        return []
    try:
        given: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")).get("added_tokens_decoder", {})
        ordered = sorted(given.items(), key=lambda item: int(item[0]))
        return [(str(token["content"]), bool(token.get("special"))) for _, token in ordered]
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as exc:
        raise CheckpointError("the file cannot be read as JSON.", file=path) from exc
