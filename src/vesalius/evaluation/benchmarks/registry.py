"""Every benchmark by name, written out in one place; a file is imported when its benchmark is asked for."""

from __future__ import annotations

import difflib
import importlib

from vesalius.errors import OptionError
from vesalius.evaluation.contract import Benchmark

__all__ = ["BENCHMARKS", "benchmark"]

BENCHMARKS: dict[str, str] = {
    "samples": "samples",
    "slake": "slake",
    "medqa-usmle": "text_exams",
    "medmcqa": "text_exams",
    "medbullets-op4": "text_exams",
    "medbullets-op5": "text_exams",
    "mmlu-pro-med": "text_exams",
    "supergpqa-med": "text_exams",
    "mmlu-med-6": "mmlu_med",
    "mmlu-med-9": "mmlu_med",
    "pubmedqa": "pubmedqa",
    "medxpertqa-text": "medxpertqa",
    "medxpertqa-mm": "medxpertqa",
    "cmb": "chinese_exams",
    "cmexam": "chinese_exams",
    "cmmlu-med": "chinese_exams",
    "medqa-mcmle": "chinese_exams",
    "healthbench": "healthbench",
    "vqa-rad": "vqa_rad_and_pathvqa",
    "pathvqa": "vqa_rad_and_pathvqa",
    "pmc-vqa": "pmc_vqa",
    "omnimedvqa": "omnimedvqa",
    "mmmu-med": "mmmu_med",
    "medframeqa": "medframeqa",
    "gmai-mmbench": "gmai_mmbench",
    "medmnist": "medmnist",
    "rad-restruct": "rad_restruct",
    "mimic-cxr": "chest_reports",
    "chexpert-plus": "chest_reports",
    "iu-xray": "chest_reports",
    "m3d-vqa": "m3d_vqa",
    "m3d-vqa-open": "m3d_vqa",
    "3d-rad": "three_d_rad",
    "m3d-cap": "volume_reports",
    "amos-mm": "volume_reports",
    "ct-rate-reports": "volume_reports",
    "ct-rate-vqa": "ct_rate_vqa",
    "m3d-positioning": "m3d_targets",
    "m3d-segmentation": "m3d_targets",
    "cholec80-vqa": "surgical_vqa",
    "endovis18-vqa": "surgical_vqa",
    "psi-ava-vqa": "surgical_vqa",
    "mlv-bench": "video_questions",
    "medvidbench": "video_questions",
    "medsg-bench": "medsg_bench",
    "mecovqa-g": "mecovqa_g",
    "slake-boxes": "slake_boxes",
    "medvision-boxes": "medvision",
    "medvision-sizes": "medvision",
    "medvision-angles": "medvision",
    "domain-shift": "domain_shift",
    "sure-vqa": "sure_vqa",
    "medmultipoints": "medmultipoints",
    "nih-chestxray8": "lesion_boxes",
    "deeplesion": "lesion_boxes",
    "vindr-cxr": "lesion_boxes",
}
"""Name → module of this package that holds it in its `BENCHMARKS` mapping."""


def benchmark(name: str) -> Benchmark:
    """The benchmark of this name. OptionError naming the nearest one when there is none."""
    if name not in BENCHMARKS:
        near = difflib.get_close_matches(name, BENCHMARKS, 1)
        hint = f"Did you mean {near[0]}? " if near else ""
        raise OptionError(f"no benchmark is called {name!r}.", fix=f"{hint}Known: {', '.join(BENCHMARKS)}.")
    module = importlib.import_module(f"vesalius.evaluation.benchmarks.{BENCHMARKS[name]}")
    found: Benchmark = module.BENCHMARKS[name]
    return found
