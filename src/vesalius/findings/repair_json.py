"""JSON as models write it: read exactly where it is valid, with named repairs where it is not.

One pass from left to right over the text, no recursion and no backtracking, so the time is linear in the length.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field
from typing import Any

from vesalius.findings.dialects.characters import ascii_twin, number_of

__all__ = ["JsonObject", "JsonRead", "read_json"]

_DEEPEST = 64
_MOST_TOKENS = 20_000
_MARK = re.compile(r"[{}\[\]():,;]")
_NUMBER = re.compile(r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d{1,4})?", re.ASCII)
_WORD = re.compile(r"[^\s{}\[\]():,;\"]+")
_OPENER = re.compile(r"[{\[]")
_NO_SPACE = re.compile(r"\S")
_COLON_AHEAD = re.compile(r"\s*:")
_STRING_END = re.compile(r"[}\],]")
_ESCAPE = re.compile(r'\\(u[0-9a-fA-F]{4}|["\\/bfnrt\'])')
_PLAIN = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_CONSTANTS: dict[str, Any] = {
    "true": True, "True": True, "false": False, "False": False, "null": None, "None": None,
    "NaN": math.nan, "nan": math.nan, "Infinity": math.inf, "-Infinity": -math.inf, "inf": math.inf, "-inf": -math.inf,
}  # fmt: skip


@dataclass
class JsonObject:
    """Pairs in order (names may repeat), where the object stands, and whether the text ended inside it."""

    pairs: list[tuple[str, Any]] = field(default_factory=list[tuple[str, Any]])
    start: int = 0
    end: int = 0
    is_cut: bool = False


@dataclass
class JsonRead:
    """`values`: objects, lists, strings, numbers, True, False, None. `repairs`: codes of what was mended. `is_cut`: the
    text ended inside a value; what was unfinished is not among `values`."""

    values: list[Any]
    repairs: set[str]
    is_cut: bool = False
    is_valid: bool = False
    error: str = ""


def read_json(text: str, *, strict: bool = False, twin: str | None = None, ends_open: bool = True) -> JsonRead:
    """The JSON of a text. `strict`: valid JSON or nothing. `ends_open`: the end of `text` is where the model stopped
    (else a fence closed it). `twin`: `ascii_twin(text)` if it is there already."""
    valid = _valid(text)
    if valid is not None or strict:
        return valid or JsonRead([], set(), error="not valid JSON")
    return _Reader(text, ascii_twin(text) if twin is None else twin, ends_open).read()


def _valid(text: str) -> JsonRead | None:
    def whole(digits: str) -> float:
        return number_of(digits)

    def pairs(found: list[tuple[str, Any]]) -> JsonObject:
        return JsonObject(found)

    try:
        return JsonRead(
            [json.loads(text, object_pairs_hook=pairs, parse_int=whole, parse_float=whole)], set(), False, True
        )
    except (ValueError, RecursionError):
        return None


@dataclass
class _Open:
    """An object or list that is not closed yet."""

    value: Any
    opener: str
    key: str | None = None
    has_colon: bool = False
    wants_more: bool = True
    """Just opened, or a comma was the last thing."""
    debt: int = 0
    """Lists of this object that a round bracket closed; their square one may still come."""

    @property
    def is_object(self) -> bool:
        return isinstance(self.value, JsonObject)


class _Reader:
    def __init__(self, text: str, twin: str, ends_open: bool) -> None:
        self.text, self.twin, self.ends_open = text, twin, ends_open
        self.at = 0
        self.stack: list[_Open] = []
        self.values: list[Any] = []
        self.repairs: set[str] = set()
        self.error = ""
        self.bare: tuple[int, int] | None = None
        self.cut_string = False
        self.line_end = -1

    def read(self) -> JsonRead:
        budget = _MOST_TOKENS
        while self.at < len(self.twin):
            if not self.stack:
                opener = _OPENER.search(self.twin, self.at)
                if opener is None:
                    break
                self.at = opener.start()
            else:
                following = _NO_SPACE.search(self.twin, self.at)
                if following is None:
                    self.at = len(self.twin)
                    break
                self.at = following.start()
            budget -= 1
            if budget < 0 or len(self.stack) > _DEEPEST:
                self.error = f"more than {_MOST_TOKENS} tokens" if budget < 0 else f"nested deeper than {_DEEPEST}"
                self._close_all()
                return JsonRead(self.values, self.repairs, False, error=self.error)
            self._step()
        cut = self._end()
        return JsonRead(self.values, self.repairs, cut, error=self.error)

    def _step(self) -> None:
        one = self.twin[self.at]
        if _MARK.match(one):
            self._note_twin(self.at, self.at + 1)
            position, self.at = self.at, self.at + 1
            self._mark(one, position)
        elif one == '"' or (one == "'" and not self.twin[self.at - 1].isalnum()):
            self._string(one)
        elif (number := _NUMBER.match(self.twin, self.at)) and not self._goes_on(number.end()):
            self._note_twin(number.start(), number.end())
            self.at = number.end()
            self._value(number_of(number[0]), number.start())
        else:
            word = _WORD.match(self.twin, self.at)
            start, self.at = self.at, word.end() if word else self.at + 1
            self._word(start, self.at)

    def _goes_on(self, at: int) -> bool:
        """Whether letters follow a number directly: `2nd` is a word."""
        return at < len(self.twin) and (self.twin[at].isalpha() or self.twin[at] == "_")

    def _note_twin(self, start: int, end: int) -> None:
        if self.text[start:end] != self.twin[start:end]:
            self.repairs.add("chars")

    # Strings and words

    def _string(self, quote: str) -> None:
        start = self.at + 1
        if self.line_end < start:  # looked for once a line, or many strings on one line cost the square of its length
            found = self.twin.find("\n", start)
            self.line_end = len(self.twin) if found < 0 else found
        line = self.line_end
        close = self._closing_quote(quote, start, line)
        if quote == "'":
            self.repairs.add("json_syntax")
        self._note_twin(start - 1, start)
        if close is None:
            if line == len(self.twin) and self.ends_open:  # the text ends inside the string
                self.at = len(self.twin)
                self.bare = (start, self.at)
                self.cut_string = True
                return
            stop = _STRING_END.search(self.twin, start, line)
            close = stop.start() if stop else line
            self.repairs.add("json_syntax")
            self.at = close
        else:
            self._note_twin(close, close + 1)
            self.at = close + 1
        content = self.text[start:close]
        if "\\" in content:
            content = _ESCAPE.sub(_unescaped, content)
        self._text(content, start - 1, is_quoted=True)

    def _closing_quote(self, quote: str, start: int, line: int) -> int | None:
        is_wide = self.text[start - 1] != quote
        at = start
        while True:
            at = self.twin.find(quote, at, line)
            if at < 0:
                return None
            back = at
            while back > start and self.twin[back - 1] == "\\":
                back -= 1
            escaped = (at - back) % 2 == 1
            inner = not is_wide and self.text[at] != quote  # a curly quote inside a straight string
            apostrophe = (
                quote == "'" and self.twin[at - 1].isalnum() and at + 1 < len(self.twin) and self.twin[at + 1].isalnum()
            )
            if not (escaped or inner or apostrophe):
                return at
            at += 1

    def _word(self, start: int, end: int) -> None:
        word = self.twin[start:end]
        top = self.stack[-1]
        if word in _CONSTANTS:
            self._value(_CONSTANTS[word], start)
            return
        self.repairs.add("json_syntax")
        ahead = _COLON_AHEAD.match(self.twin, end) is not None
        if self.bare is not None and not top.wants_more and top.key is None and not ahead:
            self._lengthen(top, end)
            return
        self._text(self.text[start:end].strip("'\u2019"), start, is_quoted=False)
        self.bare = (start, end)

    def _lengthen(self, top: _Open, end: int) -> None:
        """One more word of a text without quotes."""
        start = self.bare[0] if self.bare else end
        self.bare = (start, end)
        whole = self.text[start:end]
        if top.is_object and top.value.pairs:
            top.value.pairs[-1] = (top.value.pairs[-1][0], whole)
        elif not top.is_object and top.value:
            top.value[-1] = whole

    def _text(self, content: str, start: int, *, is_quoted: bool) -> None:
        top = self.stack[-1]
        ahead = _COLON_AHEAD.match(self.twin, self.at) is not None
        if not top.is_object and ahead:
            if any(one.is_object for one in self.stack):
                while not self.stack[-1].is_object:
                    had_comma = self.stack[-1].wants_more
                    self._pop()
                    self.stack[-1].wants_more = self.stack[-1].wants_more or had_comma
                self.repairs.add("missing_bracket")
                top = self.stack[-1]
            elif is_quoted or "2d" in content:
                self._push(JsonObject(start=start), "{")
                self.repairs.add("missing_bracket")
                top = self.stack[-1]
        if top.is_object and (top.key is None or (ahead and not top.has_colon)):
            if top.value.pairs and not top.wants_more:
                self.repairs.add("json_syntax")
            top.key, top.has_colon = content, False
            top.wants_more = True
            return
        self._value(content, start)

    # Values and marks

    def _value(self, value: Any, start: int) -> None:
        self.bare = None
        top = self.stack[-1]
        if not top.is_object:
            if top.value and not top.wants_more:
                self.repairs.add("json_syntax")
            top.value.append(value)
        elif top.key is not None:
            if not top.has_colon:
                self.repairs.add("json_syntax")
            top.value.pairs.append((top.key, value))
            top.key = None
        elif top.value.pairs:  # a further number or list of the value before
            name, before = top.value.pairs[-1]
            if isinstance(value, float) and isinstance(before, float):
                top.value.pairs[-1] = (name, [before, value])
                self.repairs.add("missing_bracket")
            elif isinstance(value, float) and _all_numbers(before):
                before.append(value)
            elif isinstance(value, list) and isinstance(before, list):
                top.value.pairs[-1] = (
                    name,
                    [*before, value] if before and isinstance(before[0], list) else [before, value],
                )
                self.repairs.add("mixed_form")
            else:
                self.repairs.add("json_syntax")
        else:
            top.value.pairs.append(("", value))
            self.repairs.add("json_syntax")
        top.wants_more = False

    def _mark(self, one: str, position: int) -> None:
        self.bare = None if one != ":" else self.bare
        top = self.stack[-1] if self.stack else None
        if one == "{":
            if top is not None:
                self._before_object(top)
            self._push(JsonObject(start=position), one)
        elif one in "[(":
            self._push([], one)
        elif top is None:
            return
        elif one == "}":
            self._close_object(position)
        elif one in "])":
            self._close_list(one, position)
        elif one in ",;":
            if top.wants_more or one == ";":
                self.repairs.add("json_syntax")
            top.wants_more = True
        elif top.is_object and top.key is not None:
            top.has_colon = True

    def _before_object(self, top: _Open) -> None:
        """An object inside a list of numbers, or after a value without a name: what is open there ends first."""
        if not top.is_object and top.value and isinstance(top.value[-1], float) and len(self.stack) > 1:
            self._pop()
            self.repairs.add("missing_bracket")
            top = self.stack[-1]
        if top.is_object and top.key is None and top.value.pairs and len(self.stack) > 1:
            self._pop()
            self.repairs.add("missing_bracket")

    def _push(self, value: Any, opener: str) -> None:
        if self.stack and not self.stack[-1].is_object and self.stack[-1].value and not self.stack[-1].wants_more:
            self.repairs.add("json_syntax")
        self.stack.append(_Open(value, opener))

    def _pop(self) -> None:
        """Close the innermost value and give it to what is around it."""
        one = self.stack.pop()
        value = one.value
        if isinstance(value, JsonObject):
            value.end = self.at
        if not self.stack:
            self.values.append(value)
        else:
            self._value(value, self.at)

    def _close_object(self, position: int) -> None:
        if any(one.is_object for one in self.stack):
            while not self.stack[-1].is_object:
                self._pop()
                self.repairs.add("missing_bracket")
        else:
            self.repairs.add("mixed_form")
        if self.stack[-1].wants_more and self.stack[-1].is_object and self.stack[-1].value.pairs:
            self.repairs.add("json_syntax")  # a comma before the brace
        self._pop()

    def _close_list(self, one: str, position: int) -> None:
        top = self.stack[-1]
        if not top.is_object:
            if (top.opener == "(") != (one == ")"):
                self.repairs.add("mixed_form")
                if one == ")" and len(self.stack) > 1 and self.stack[-2].is_object:
                    self.stack[-2].debt += 1
            elif one == ")":
                self.repairs.add("mixed_form")
            if top.wants_more and top.value:
                self.repairs.add("json_syntax")
            self._pop()
            return
        if top.debt:
            top.debt -= 1
            return
        if one == ")":
            self.repairs.add("json_syntax")
            return
        self.repairs.add("missing_bracket")
        self._pop()
        if self.stack and not self.stack[-1].is_object:
            self._pop()

    # The end

    def _close_all(self) -> None:
        while self.stack:
            self._pop()

    def _end(self) -> bool:
        """Close what is open. True if the text ended inside a value: the unfinished part is taken away."""
        if not self.stack:
            return False
        top = self.stack[-1]
        touches = self.ends_open and bool(self.twin) and not self.twin[-1].isspace()
        last = top.value[-1] if not top.is_object and top.value else None
        if top.is_object and top.value.pairs and top.key is None:
            last = top.value.pairs[-1][1]
        at_number = touches and isinstance(last, float) and not top.wants_more
        in_word = touches and self.bare is not None
        pending = top.key is not None or top.wants_more
        if not (self.ends_open and (self.cut_string or at_number or in_word or pending)):
            self.repairs.add("missing_bracket")
            self._close_all()
            return False
        self.repairs.add("truncated")
        self._take_unfinished(top)
        return True

    def _take_unfinished(self, top: _Open) -> None:
        """Drop the innermost group or pair, mark its object as cut and keep what is complete around it."""
        if not top.is_object and (not top.value or isinstance(top.value[-1], float | str)):
            self.stack.pop()
        elif top.is_object and top.key is None and not top.wants_more and top.value.pairs:
            top.value.pairs.pop()
        if self.stack and self.stack[-1].is_object:
            self.stack[-1].key = None
        for one in reversed(self.stack):
            if one.is_object:
                one.value.is_cut = True
                break
        self._close_all()


def _all_numbers(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, float) for one in value)  # pyright: ignore[reportUnknownVariableType]


def _unescaped(match: re.Match[str]) -> str:
    one = match[1]
    return chr(int(one[1:], 16)) if one[0] == "u" and len(one) == 5 else _PLAIN.get(one, one)
