"""Ways models write places into text. Each file reads one: pure text → what was named, in the model's own frame;
`table` lists them, `frames` leads to original pixels, `write` goes the other way."""

from vesalius.findings.dialects.named import Named, Reading
from vesalius.findings.dialects.table import DIALECTS, detect, read_named

__all__ = ["DIALECTS", "Named", "Reading", "detect", "read_named"]
