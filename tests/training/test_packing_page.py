"""The page on packed rows: its code is taken from the page and run."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.models.parity import ROOT
from tests.training import tiny

CODE: list[str] = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "packing.md").read_text("utf-8"), re.DOTALL)


@pytest.mark.parametrize("code", CODE)
def test_the_code_of_the_page_runs(code: str) -> None:
    conversations = [tiny.conversation("medmo", answer, k) for k, answer in enumerate(("a cyst", "no finding"))]
    made: dict[str, Any] = {"conversations": conversations}
    exec(compile(code.replace("path/to/medmo", str(tiny.FIXTURES / tiny.EVERY["medmo"])), "packing.md", "exec"), made)
    assert made["family"].length(made["row"]) == sum(made["family"].length(one) for one in made["samples"])
    assert float(made["loss"].summed.detach()) > 0
    assert any(value.grad is not None for value in made["family"].model.parameters())
