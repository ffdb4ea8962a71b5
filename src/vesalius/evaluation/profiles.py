"""Profiles: the rules stored predictions are scored by. Any run can be scored under any of them, again and again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vesalius.errors import OptionError

__all__ = ["PROFILES", "Profile", "profile_named"]


@dataclass(frozen=True)
class Profile:
    """`codec`: how places are read for the figures a table leads with (the other reading stands beside it).
    `defects`: what the profile does otherwise than `strict`, printed with every result."""

    name: str
    title: str
    codec: Literal["strict", "tolerant"] = "strict"
    defects: tuple[str, ...] = ()


_STRICT = Profile("strict", "answers and places by the published grammar")
_TOLERANT = Profile("tolerant", "as strict, places mended where that is plain", "tolerant")
_MEDEVALKIT = Profile(
    "medevalkit",
    "MedEvalKit, state 9b12e3b",
    defects=(
        "D1: SLAKE's closed items count twice, by rule and by judge, so accuracy can exceed 1; its Yes and No with a "
        "capital are compared as texts.",
        "D2: PathVQA's closed count is set back after judging: closed accuracy is 0.",
        "D3: the columns of token precision, recall and F1 are permuted; tokens are sets of lower-case words.",
        "D4: an open answer without a word ends the published run; here it scores 0.",
        "D5: an empty answer is taken for the first option.",
        "D6: an answer without a letter is taken for the option most like it, refusals included.",
        "D7: boxed letters in \\text{} and letters behind a colon and a space are not seen.",
        "D8: a yes is wrong when the letters n-o occur anywhere in the answer.",
        "D9: a no is right when the letters n-o occur anywhere and yes does not.",
        "D10: exact match compares lower-case text, points and all.",
        "D11: BLEU is unsmoothed, an order without a hit is the smallest float; ROUGE counts a repeated word once.",
        "D12: an MMMU answer that cannot be read is a random choice; scored with its expected value.",
        "D13: empty reports count 0 in BLEU and ROUGE and are left out of CIDEr.",
        "D23: the last box wins over answer tags, these over phrases; of several phrases the last.",
        "Its judge is an exact match after normalising here; a language model judges in the published tables. Its "
        "METEOR needs WordNet; ours stands in its place.",
    ),
)
_MEDUNIEVAL = Profile(
    "medunieval",
    "MedUniEval (Hulu-Med), without its judge",
    defects=(
        "D5-D12 as under medevalkit: answers are read by the same functions.",
        "D1, D2 are mended: closed items count once; open answers are right when equal in lower case, without a judge.",
        "D18: SLAKE's Chinese items are left out.",
        "D13: empty reports count 0; ROUGE reads 2,048 characters of a report; there is no CIDEr.",
        "Closed 3D items compare the first letter where it is a to d, of words, too; 3D BLEU is smoothed.",
        "Exact match of open 3D items: different words of the reference in the answer, over the answer's words, so "
        "that a part of the reference is a match; token scores count a right word as often as the answer says it.",
    ),
)
_UNI_MED = Profile(
    "uni-med",
    "Uni-Med / MedM-VL 2D",
    "tolerant",
    (
        "D24: caption figures are means over the items whose answer and reference are not empty; the published one is "
        "BLEU-1 of these captions as one corpus.",
        "Short answers are compared in the VQA challenge's form (no marks or articles, number words as digits): the "
        "published figure is BLEU-1, on MedMNIST accuracy; a repeated right word raises token F1.",
        "Boxes have one pixel added to every extent; answers are {<x0><y0><x1><y1>} in percent; right above IoU 0.5.",
    ),
)
_LMMS_EVAL = Profile(
    "lmms-eval",
    "lmms-eval: MMMU, MedQA, SLAKE",
    defects=(
        "D12: a multiple-choice answer that cannot be read is a random choice; scored with its expected value.",
        "A letter with a space behind it is a choice, the end of a word included; of several the last wins.",
        "An open MMMU answer is right when the reference occurs anywhere in its last piece.",
        "SLAKE's answers are compared without brackets and marks; normal is a yes there and abnormal a no (zh).",
        "Other open and closed answers are compared lower-case, without a final point, not normalised further.",
    ),
)
_PDC = Profile(
    "pdc",
    "PointDetectCount as published",
    defects=(
        "Many-to-one: copies of a right point all count as right.",
        "Items without a usable prediction are left out of distances and IoU; a broken answer counts as 0.",
    ),
)
_MEDSG = Profile(
    "medsg",
    "MedSG-Bench as published",
    defects=("The first box any of six patterns finds, in the frame of the picture; nothing is put in order.",),
)
_M3D = Profile(
    "m3d",
    "M3D-Bench as published",
    defects=(
        'D19: a closed answer is right when "X." occurs anywhere in it.',
        "D21: a missing 3D box lets -1 into the mean.",
        "Soft Dice adds 1 to both sides of its fraction; here it is of the stored mask, not of probabilities.",
    ),
)

_MECOVQA = Profile(
    "mecovqa", "MeCoVQA-G+ as published", defects=("Only the first of several masks in an answer counts.",)
)
_MEDREGA = Profile(
    "medrega",
    "MedRegA as published",
    "tolerant",
    ("D22: precision is hits over true boxes, recall hits over predicted ones; F1 is the same.",),
)
_RAD_RESTRUCT = Profile(
    "rad-restruct",
    "Rad-ReStruct as published",
    defects=(
        "Macro averages run over classes with support and four summary rows; a class never predicted has precision 1.",
        "Questions below a right no are not asked in a stored run; the published walk asks them below a wrong yes.",
    ),
)

PROFILES: dict[str, Profile] = {
    one.name: one
    for one in (
        _STRICT,
        _TOLERANT,
        _MEDEVALKIT,
        _MEDUNIEVAL,
        _UNI_MED,
        _LMMS_EVAL,
        _PDC,
        _MEDSG,
        _M3D,
        _MECOVQA,
        _MEDREGA,
        _RAD_RESTRUCT,
    )
}
"""Name → profile. "published" is not one of them: it stands for the rule a benchmark was published with."""

_PUBLISHED = (
    ("medsg", "medsg"),
    ("medmultipoints", "pdc"),
    ("pointdetect", "pdc"),
    ("m3d", "m3d"),
    ("mecovqa", "mecovqa"),
    ("radrestruct", "rad-restruct"),
)


def profile_named(name: str, benchmark: str = "") -> Profile:
    """The profile of this name; "published" by the benchmark (`strict` where no other rule is known). OptionError."""
    if name == "published":
        plain = "".join(c for c in benchmark.lower() if c.isalnum())
        return PROFILES[next((rule for start, rule in _PUBLISHED if plain.startswith(start)), "strict")]
    if name not in PROFILES:
        raise OptionError(f"profile is {name!r}.", fix=f"Use {', '.join(PROFILES)} or published.")
    return PROFILES[name]
