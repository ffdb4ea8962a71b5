"""Cut the fonts of overlay labels from the full Noto fonts: `python scripts/subset_fonts.py`.

Needs, for this script alone: fonttools 4.68.0, pylopdf-fonts-zh-cn 0.1.1 (Noto Sans SC) and fontpkg-noto-sans-arabic
2.12. Chinese keeps the characters of GB 2312 and accented Latin; Arabic keeps its blocks at regular weight.
"""

# pyright: basic
from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

FONTS = Path(__file__).parents[1] / "src" / "vesalius" / "findings" / "fonts"
UNUSED_TABLES = ["vhea", "vmtx", "VORG", "BASE", "GPOS", "GSUB", "DSIG"]
"""Vertical writing and variants of Chinese letters; overlays write single lines."""


def gb_2312() -> set[int]:
    """Code points of GB 2312: 6,763 Chinese characters, kana, Greek, Cyrillic and full-width signs."""
    found: set[int] = set()
    for first in range(0xA1, 0xF8):
        for second in range(0xA1, 0xFF):
            try:
                found.add(ord(bytes([first, second]).decode("gb2312")))
            except UnicodeDecodeError:
                continue
    return found


def tools(module: str) -> Any:
    """A module of fontTools, which no environment of ours installs."""
    if find_spec("fontTools") is None:
        raise SystemExit("fonttools is not installed; see the head of this script.")
    return import_module(f"fontTools.{module}")


def full(package: str, pattern: str) -> Any:
    """The font file of an installed package."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise SystemExit(f"{package} is not installed; see the head of this script.")
    return tools("ttLib").TTFont(next(Path(spec.origin).parent.rglob(pattern)), recalcTimestamp=False)


def cut(font: Any, letters: set[int], name: str, *, shaping: bool) -> None:
    """Write the part of a font that has these code points; `shaping` keeps the rules by which letters join."""
    subset, features = tools("subset"), ["*"] if shaping else []
    options = subset.Options(hinting=False, notdef_outline=True, name_IDs=["*"], layout_features=features)
    if not shaping:
        options.drop_tables += UNUSED_TABLES
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=letters)
    subsetter.subset(font)
    font.save(FONTS / name)
    print(f"{name}: {len(font.getBestCmap() or ())} characters, {(FONTS / name).stat().st_size} bytes")


def main() -> None:
    """Cut both fonts."""
    accented = {*range(0x20, 0x7F), *range(0xA0, 0x180), *range(0x2010, 0x2040)}
    cut(full("pylopdf_fonts_zh_cn", "NotoSansSC-Regular.otf"), gb_2312() | accented, "chinese.otf", shaping=False)
    arabic = tools("varLib.instancer").instantiateVariableFont(
        full("fontpkg_noto_sans_arabic", "NotoSansArabic*.ttf"), {"wght": 400, "wdth": 100}
    )
    kept = {c for c in arabic.getBestCmap() if c < 0x900 or 0x2000 <= c < 0x2070}
    cut(arabic, kept, "arabic.ttf", shaping=True)


if __name__ == "__main__":
    main()
