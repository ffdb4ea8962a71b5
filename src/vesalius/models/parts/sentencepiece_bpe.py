"""A SentencePiece `tokenizer.model` (BPE) as a `tokenizers.Tokenizer`, read without the sentencepiece package.

The file is a protocol buffer: field 1 the pieces (text, score, type), field 2 the trainer's settings, field 3 the
normaliser's. Only what Llama-like models use is read; anything else is refused.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vesalius.errors import CheckpointError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = ["SPACE", "SentencePieceModel", "decode_pieces", "read_sentencepiece"]

SPACE = "▁"
_NORMAL, _UNKNOWN, _CONTROL, _OWN = 1, 2, 3, 4
_BPE = 2
_BYTE = re.compile(r"<0x([0-9A-F]{2})>")


@dataclass(frozen=True)
class SentencePieceModel:
    """`pieces`: (text, score, type) by id. `collapses_spaces`: runs of spaces become one, spaces at the end vanish."""

    pieces: tuple[tuple[str, float, int], ...]
    collapses_spaces: bool

    def tokenizer(self) -> Tokenizer:
        """Text → ids without any prefix: put `SPACE` in front of a text that starts a sequence."""
        from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers

        vocab = {text: number for number, (text, _, _) in enumerate(self.pieces)}
        unknown = next((text for text, _, kind in self.pieces if kind == _UNKNOWN), None)
        bpe = models.BPE(vocab=vocab, merges=self._merges(vocab), unk_token=unknown, fuse_unk=True, byte_fallback=True)
        made = Tokenizer(bpe)
        spaces = normalizers.Replace(" ", SPACE)
        made.normalizer = spaces
        if self.collapses_spaces:
            # A SPACE that was put in front is no space to SentencePiece yet, so runs collapse before the exchange.
            runs, end = normalizers.Replace(Regex(" {2,}"), " "), normalizers.Replace(Regex(f"{SPACE}+\\z"), "")
            made.normalizer = normalizers.Sequence([runs, spaces, end])
        kept = [(text, kind) for text, _, kind in self.pieces if kind in (_UNKNOWN, _CONTROL, _OWN)]
        made.add_special_tokens([AddedToken(t, normalized=False, special=True) for t, kind in kept if kind != _OWN])
        made.add_tokens([AddedToken(t, normalized=False) for t, kind in kept if kind == _OWN])
        return made

    def _merges(self, vocab: dict[str, int]) -> list[tuple[str, str]]:
        """Every way to join two pieces into a third, best score first: the order SentencePiece joins in."""
        normal = {text for text, _, kind in self.pieces if kind == _NORMAL}
        found: list[tuple[float, int, int, int, str, str]] = []
        for text, score, kind in self.pieces:
            if kind != _NORMAL:
                continue
            for cut in range(1, len(text)):
                left, right = text[:cut], text[cut:]
                if left in normal and right in normal:
                    found.append((-score, vocab[text], vocab[left], vocab[right], left, right))
        return [(left, right) for *_, left, right in sorted(found)]


def read_sentencepiece(path: Path) -> SentencePieceModel:
    """Read a `tokenizer.model`. CheckpointError when it is damaged or no byte-pair model."""
    pieces: list[tuple[str, float, int]] = []
    collapses, model_type = True, 1
    try:
        for number, value in _fields(path.read_bytes()):
            if number == 1 and isinstance(value, bytes):
                pieces.append(_piece(value))
            elif number == 2 and isinstance(value, bytes):
                model_type = dict(_fields(value)).get(3, 1)
            elif number == 3 and isinstance(value, bytes):
                collapses = bool(dict(_fields(value)).get(4, 1))
    except (OSError, IndexError, ValueError, KeyError, struct.error, UnicodeDecodeError) as exc:
        raise CheckpointError("the SentencePiece file is cut off or damaged.", file=path) from exc
    if not pieces or model_type != _BPE:
        raise CheckpointError("the SentencePiece file holds no byte-pair model.", file=path)
    return SentencePieceModel(tuple(pieces), collapses)


def decode_pieces(pieces: Sequence[str]) -> str:
    """Text of piece strings. Byte pieces (`<0xE2>`) join to characters; each byte that belongs to none becomes
    U+FFFD, where the tokenizers library would give up on the whole run."""
    text: list[str] = []
    run = b""
    for piece in pieces:
        byte = _BYTE.fullmatch(piece)
        if byte:
            run += bytes([int(byte[1], 16)])
            continue
        text += [_characters(run), piece.replace(SPACE, " ")]
        run = b""
    return "".join([*text, _characters(run)])


def _characters(run: bytes) -> str:
    text, at = "", 0
    while at < len(run):
        for size in range(1, 5):
            try:
                text += run[at : at + size].decode("utf-8")
            except UnicodeDecodeError:
                continue
            at += size
            break
        else:
            text += "\ufffd"
            at += 1
    return text


def _piece(message: bytes) -> tuple[str, float, int]:
    text, score, kind = "", 0.0, _NORMAL
    for number, value in _fields(message):
        if number == 1 and isinstance(value, bytes):
            text = value.decode("utf-8")
        elif number == 2 and isinstance(value, bytes):
            score = struct.unpack("<f", value)[0]
        elif number == 3 and isinstance(value, int):
            kind = value
    return text, score, kind


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """(field number, value) of a protocol-buffer message; numbers of fixed width come as bytes."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        wire = key & 7
        if wire == 0:
            value, at = _varint(message, at)
            yield key >> 3, value
            continue
        if wire == 2:
            size, at = _varint(message, at)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
        else:
            raise ValueError(f"wire type {wire}")
        if at + size > len(message):
            raise IndexError("the message ends early")
        yield key >> 3, message[at : at + size]
        at += size


def _varint(message: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = message[at]
        at += 1
        number |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return number, at
        if shift > 63:
            raise ValueError("a number is too long")
