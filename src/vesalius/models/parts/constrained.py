"""Decoding held to a form: a JSON schema, a regular expression or a list of choices, through llguidance.

Per step and row, tokens that cannot go on to a text of that form are taken out of the logits before one is chosen.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from vesalius.errors import ModelError, OptionError, UnsupportedError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = ["Constraint", "ConstraintRows", "constraint_of", "token_bytes"]

_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")
_SPACE = "▁"
_SPECIAL = b"\xff"
"""llguidance's mark for tokens that are no text."""


@dataclass(frozen=True)
class Constraint:
    """A form every answer must have. `grammar`: in llguidance's notation. `vocabulary`: the bytes of each token id."""

    grammar: str
    vocabulary: tuple[bytes, ...] = field(repr=False)
    special_ids: tuple[int, ...] = field(repr=False)
    tables: dict[tuple[int, ...], Any] = field(default_factory=dict[tuple[int, ...], Any], repr=False, compare=False)
    """llguidance's tables by stop tokens: made once, they take longer than an answer's masks."""

    def start(self, batch: int, stop_ids: Sequence[int]) -> ConstraintRows:
        """One fresh matcher a row; an answer ends with any of `stop_ids`. OptionError for a form that cannot be met."""
        guidance = _llguidance()
        ends = tuple(dict.fromkeys(stop_ids))
        if ends not in self.tables:
            vocabulary = guidance.TokenizerWrapper(_Vocabulary(self, ends[0]))
            self.tables[ends] = guidance.LLTokenizer(vocabulary, eos_token=list(ends))
        first = guidance.LLMatcher(self.tables[ends], self.grammar, log_level=0)
        if first.is_error():
            problem = first.get_error().splitlines()[0][:200]
            raise OptionError(f"the schema cannot be used: {problem}", fix="Use a form llguidance supports.")
        return ConstraintRows([first, *(first.deep_copy() for _ in range(batch - 1))])


class ConstraintRows:
    """Where each row of a batch stands in its form."""

    def __init__(self, matchers: list[Any]) -> None:
        self.matchers = matchers

    def masked(self, logits_GV: Tensor, rows: Sequence[int]) -> Tensor:
        """Logits of these `rows` with minus infinity at tokens that lead out of the form."""
        allowed_GV = torch.zeros(logits_GV.shape, dtype=torch.bool)
        for at, row in enumerate(rows):
            mask = self.matchers[row].compute_bitmask()
            bits = np.unpackbits(np.frombuffer(mask, dtype=np.uint8), bitorder="little")
            known = min(len(bits), allowed_GV.shape[1])
            allowed_GV[at, :known] = torch.from_numpy(bits[:known].astype(bool))
        return logits_GV.masked_fill(~allowed_GV.to(logits_GV.device), float("-inf"))

    def take(self, row: int, token: int) -> None:
        """Note the token a row chose."""
        matcher = self.matchers[row]
        if not matcher.consume_token(token) and matcher.is_error():
            raise ModelError(f"the schema could not be followed: {matcher.get_error().splitlines()[0][:200]}")


def constraint_of(schema: Any, tokenizer: Tokenizer) -> Constraint:
    """`schema`: a JSON schema (a dict, or a pydantic model class), a regular expression (str) or choices (a list of
    strings). UnsupportedError without llguidance, OptionError for anything else."""
    matcher = _llguidance().LLMatcher
    if hasattr(schema, "model_json_schema"):
        schema = schema.model_json_schema()
    if isinstance(schema, Mapping):
        try:  # compact: white space between values is a way to say nothing for ever
            grammar = matcher.grammar_from_json_schema(json.dumps(schema), overrides={"whitespace_flexible": False})
        except (TypeError, ValueError) as exc:
            raise OptionError(f"the schema is no JSON schema: {exc}") from exc
    elif isinstance(schema, str) and schema:
        grammar = matcher.grammar_from_regex(schema)
    elif isinstance(schema, list | tuple) and schema and all(isinstance(one, str) and one for one in schema):  # pyright: ignore[reportUnknownVariableType]
        grammar = matcher.grammar_from_lark(
            "start: " + " | ".join(json.dumps(one, ensure_ascii=False) for one in schema)
        )  # pyright: ignore[reportUnknownVariableType]
    else:
        raise OptionError(
            f"schema is a {type(schema).__name__}.",
            fix="Give a JSON schema (dict), a regular expression (str) or a list of choices.",
        )
    pieces, special = token_bytes(tokenizer)
    return Constraint(grammar, tuple(pieces), tuple(special))


def token_bytes(tokenizer: Tokenizer) -> tuple[list[bytes], list[int]]:
    """(the bytes each token id stands for, ids of tokens that are no text), of byte-level or SentencePiece tokens."""
    added = tokenizer.get_added_tokens_decoder()
    is_byte_level = "ByteLevel" in type(tokenizer.decoder).__name__ or '"ByteLevel"' in _settings(tokenizer)
    alphabet = _byte_alphabet()
    pieces: list[bytes] = []
    special: list[int] = []
    for number in range(tokenizer.get_vocab_size()):
        text = tokenizer.id_to_token(number)
        if text is None or (number in added and added[number].special):
            special.append(number)
            pieces.append(_SPECIAL + (text or f"<{number}>").encode())
        elif number in added:
            pieces.append(text.encode())
        elif is_byte_level:
            pieces.append(
                bytes(alphabet[one] for one in text) if all(one in alphabet for one in text) else text.encode()
            )
        else:
            byte = _BYTE.fullmatch(text)
            pieces.append(bytes([int(byte[1], 16)]) if byte else text.replace(_SPACE, " ").encode())
    return pieces, special


def _settings(tokenizer: Tokenizer) -> str:
    """The parts of a tokenizer's file that say how its pieces become text."""
    parts = json.loads(tokenizer.to_str())
    return json.dumps([parts.get("decoder"), parts.get("pre_tokenizer")])


def _byte_alphabet() -> dict[str, int]:
    """The letters that byte-level tokenizers write bytes as."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = {chr(one): one for one in plain}
    others = [one for one in range(256) if one not in set(plain)]
    return letters | {chr(256 + number): one for number, one in enumerate(others)}


class _Vocabulary:
    """What llguidance asks of a tokenizer. Masks need the pieces only; nothing is tokenized with it."""

    def __init__(self, constraint: Constraint, end_id: int) -> None:
        self.tokens = list(constraint.vocabulary)
        self.special_token_ids = sorted({*constraint.special_ids, end_id})
        self.eos_token_id, self.bos_token_id = end_id, None
        self._ids = {piece: number for number, piece in reversed(list(enumerate(self.tokens)))}

    def __call__(self, text: bytes | str) -> list[int]:
        """Greedy longest match; only a hint to llguidance."""
        rest = text if isinstance(text, bytes) else text.encode()
        ids: list[int] = []
        while rest:
            size = next((n for n in range(min(len(rest), 32), 0, -1) if rest[:n] in self._ids), 1)
            ids += [self._ids[rest[:size]]] if rest[:size] in self._ids else []
            rest = rest[size:]
        return ids


def _llguidance() -> Any:
    try:
        import llguidance
    except ImportError as exc:
        raise UnsupportedError(
            "schema= needs the package llguidance.", fix="Install it with: pip install 'vesalius[schema]'"
        ) from exc
    return llguidance
