"""Hulu-Med 4B, 7B, 14B and 32B: pictures, volumes and videos of any size in, text out."""

from vesalius.models.hulumed.hulumed import HuluMed
from vesalius.models.hulumed.quirks import HuluMedQuirks

__all__ = ["HuluMed", "HuluMedQuirks"]
