"""Ways models write places into text. Each file reads one: pure text → what was named, in the model's own frame."""

from vesalius.findings.dialects.citrus_inline import read_citrus_inline
from vesalius.findings.dialects.medmo_box import read_medmo_boxes
from vesalius.findings.dialects.named import Named
from vesalius.findings.dialects.qwen_json import read_qwen_json

__all__ = ["Named", "read_citrus_inline", "read_medmo_boxes", "read_qwen_json"]
