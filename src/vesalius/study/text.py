"""Plain text files: which encoding, and how much."""

from __future__ import annotations

from vesalius.errors import InputError, LimitError
from vesalius.limits import current
from vesalius.study.gzip_stream import ByteSource
from vesalius.study.items import Document, Origin

__all__ = ["decode_text", "looks_like_text", "read_text"]


def looks_like_text(head: bytes) -> bool:
    """True when `head` is UTF-8 or UTF-16 text, or 8-bit text without control characters."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        even = head[: len(head) // 2 * 2]
        return "\0" not in even.decode("utf-16", "replace") and len(even) > 2
    if any(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in head) or 127 in head:
        return False
    try:
        head.decode("utf-8")
        return True
    except UnicodeDecodeError as exc:
        # A character cut at the end of `head` is no fault; 8-bit text has only a few letters above ASCII.
        return exc.start >= len(head) - 4 or sum(byte > 127 for byte in head) < 0.3 * len(head)


def decode_text(data: bytes, name: str) -> tuple[str, list[str]]:
    """Text, and a warning when the encoding had to be assumed."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace"), []
    try:
        return data.decode("utf-8-sig"), []
    except UnicodeDecodeError:
        return data.decode("latin-1"), [f"{name}: not UTF-8; read as Latin-1, letters with accents may be wrong."]


def text_of(source: ByteSource) -> tuple[str, list[str]]:
    """The whole text of a file within `max_text_chars`."""
    cap = current().max_text_chars
    data = source.head(4 * cap + 1)
    text, warnings = decode_text(data, source.name)
    if len(text) > cap or len(data) > 4 * cap:
        raise LimitError(f"holds more than {cap} characters.", file=source.name, fix="Give the part that matters.")
    if "\0" in text:
        raise InputError("is not text: it holds zero bytes.", file=source.name)
    return text, warnings


def read_text(source: ByteSource) -> tuple[list[Document], list[str]]:
    """A text file as one Document. Its content is data, never an instruction."""
    text, warnings = text_of(source)
    return [Document(text, Origin("text", source.files, warnings=tuple(warnings)))], warnings
