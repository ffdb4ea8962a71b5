"""SLAKE: questions in English and Chinese about pictures of CT, MR and X-ray.

Published layout: `test.json`, `validate.json`, `train.json` (lists of objects) and `imgs/<img_name>`.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, cast

from vesalius.errors import InputError
from vesalius.evaluation.contract import Benchmark, Medium, Sample, TaskKind

__all__ = ["BENCHMARKS"]

_COLUMNS = ("img_name", "question", "answer", "answer_type", "q_lang", "qid")
_TAGS = ("modality", "location", "content_type")

_YES_NO = {
    "en": {"yes": "yes", "no": "no"},
    "zh": {
        **dict.fromkeys(("是", "是的", "有", "对"), "yes"),
        **dict.fromkeys(("否", "不是", "没有", "无", "不"), "no"),
    },
}
"""Closed answers that are a plain yes or no; others (包含, CT, Left) stay words."""
_PROMPTS: dict[tuple[str, str], str] = {
    ("en", "yesno"): "{q}\nPlease output 'yes' or 'no'(no extra output).",
    ("en", "closed"): "{q}\nAnswer the question using a single word or phrase.",
    ("en", "open"): "{q}\nPlease answer the question concisely.",
    ("zh", "yesno"): "{q}\n请输出'是'或'否'(不要有任何其它输出)。",
    ("zh", "closed"): "{q}\n请简要回答该问题。",
    ("zh", "open"): "{q}\n请简要回答该问题。",
}


def _read(folder: Path, split: str) -> Iterator[Sample]:
    """The questions of a split in published order."""
    path = folder / f"{split}.json"
    for number, row in enumerate(_rows(path), 1):
        where = f"row {number}"
        if not isinstance(row, dict):
            raise InputError(f"{where} is no object.", file=path)
        yield _sample(cast("dict[str, Any]", row), folder, path, where)


def _rows(path: Path) -> list[Any]:
    try:
        rows: Any = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as exc:
        raise InputError("is missing.", file=path, fix="--data is the folder that holds it and imgs/.") from exc
    except OSError as exc:
        raise InputError(f"cannot be read ({exc.strerror}).", file=path) from exc
    except ValueError as exc:
        raise InputError("is not JSON in UTF-8.", file=path) from exc
    if not isinstance(rows, list):
        raise InputError("is no list of questions.", file=path)
    return cast("list[Any]", rows)


def _sample(row: dict[str, Any], folder: Path, path: Path, where: str) -> Sample:
    for column in _COLUMNS:
        value = row.get(column)
        if value is None:
            raise InputError(f"{where} has no column {column!r}.", file=path)
        if isinstance(value, str) and not value.strip() and column != "answer":
            raise InputError(f"{where}: {column} is empty.", file=path)
    image = PurePosixPath(str(row["img_name"]).replace("\\", "/"))
    if image.is_absolute() or ".." in image.parts:
        raise InputError(f"{where}: img_name leads out of the folder.", file=path)
    lang, asked = str(row["q_lang"]).strip().lower(), str(row["answer_type"]).strip().upper()
    if lang not in _YES_NO:
        raise InputError(f"{where}: q_lang is {row['q_lang']!r:.20}, not en or zh.", file=path)
    if asked not in ("OPEN", "CLOSED"):
        raise InputError(f"{where}: answer_type is {row['answer_type']!r:.20}, not OPEN or CLOSED.", file=path)
    question, answer = str(row["question"]).strip(), str(row["answer"]).strip()
    kind: TaskKind = "open" if asked == "OPEN" else "closed"
    gold = answer
    yes_no = _YES_NO[lang].get(answer.casefold().rstrip(".。"))
    if kind == "closed" and yes_no is not None:
        kind, gold = "yesno", yes_no
    tags = {"lang": lang, "answer_type": asked} | {tag: str(row[tag]) for tag in _TAGS if row.get(tag)}
    return Sample(
        id=str(row["qid"]),
        kind=kind,
        question=question,
        prompt=_PROMPTS[lang, kind].format(q=question),
        media=(Medium("image", folder / "imgs" / image),),
        gold=gold,
        lang=lang,
        # The folder of a picture (xmlab12) stands for its patient.
        cluster=image.parts[0] if len(image.parts) > 1 else None,
        tags=tags,
        extra={"answer": answer},
    )


# --- the twin ---------------------------------------------------------------------------------------------------------

_MODALITIES = {"ct": "CT", "mr": "MRI", "xray": "X-Ray"}
_LOCATIONS = {"chest": "Lung", "abdomen": "Abdomen", "head": "Brain_Tissue"}
_FORMS = {
    # question, answer, answer type, content type; {a}: with article, {x}: without
    "en": (
        ("What modality is used to take this image?", "{modality}", "OPEN", "Modality"),
        ("Does the picture contain {a}?", "{yes}", "CLOSED", "Organ"),
        ("Is there {a} in this image?", "{yes}", "CLOSED", "Abnormality"),
        ("Is the picture an MRI or a CT?", "{modality}", "CLOSED", "Modality"),
        ("Which part of the body does this image belong to?", "{region}", "OPEN", "Position"),
    ),
    "zh": (
        ("这张图片是用什么模态拍摄的？", "{modality}", "OPEN", "Modality"),
        ("图片中包含{x}吗？", "{yes}", "CLOSED", "Organ"),
        ("图中存在{x}吗？", "{yes}", "CLOSED", "Abnormality"),
    ),
}

_SAID = {
    ("en", False): ("No", "Yes"),
    ("zh", False): ("没有", "有"),
    ("zh", True): ("不包含", "包含"),
}


def _twin(folder: Path, count: int, seed: int) -> None:
    """`count` questions in each split about phantoms, about three to a picture, English and Chinese by turns."""
    from vesalius.phantoms.pictures import draw_picture
    from vesalius.phantoms.splits import CALIBRATION, HELD_OUT, TRAIN
    from vesalius.phantoms.write_media import write_picture

    for split, seeds, per in (("test", HELD_OUT, 1), ("validate", CALIBRATION, 4), ("train", TRAIN, 4)):
        rows: list[dict[str, Any]] = []
        rng = random.Random(f"slake/{split}/{seed}")
        wanted = max(1, count // per)
        picture = 0
        while len(rows) < wanted:
            modality = ("ct", "mr", "xray")[picture % 3]
            truth = draw_picture(seeds[(seed * 1000 + picture) % len(seeds)], modality, (224, 224))
            # Both "test" and "train" begin with a t: a letter would put one's pictures over the other's.
            name = f"xmlab{split}{picture}/source.png"
            write_picture(folder / "imgs" / name, truth.pixels)
            for lang in ("en", "zh"):
                rows += [
                    {"img_id": picture, "img_name": name, **row, "qid": 0}
                    for row in _questions(truth, lang, 2 if lang == "en" else 1, rng)
                ]
            picture += 1
        offset = {"test": 0, "validate": 1_000_000, "train": 2_000_000}[split]
        kept = [{**row, "qid": offset + k} for k, row in enumerate(rows[:wanted])]
        (folder / f"{split}.json").write_text(json.dumps(kept, ensure_ascii=False, indent=1), encoding="utf-8")


def _questions(truth: Any, lang: str, number: int, rng: random.Random) -> list[dict[str, Any]]:
    from vesalius.dialogue.words import LABEL_NAMES, REGION_NAMES
    from vesalius.phantoms.truth import LABELS

    seen = sorted({one.label for one in truth.objects})
    rows: list[dict[str, Any]] = []
    forms = [form for form in _FORMS[lang] if truth.modality != "xray" or form[1] != "{modality}" or form[2] == "OPEN"]
    for question, answer, answer_type, content in rng.sample(forms, number):
        there = bool(seen) and rng.random() < 0.5
        label = rng.choice(seen if there else [x for x in LABELS if x not in seen])
        name = LABEL_NAMES[label]
        values = {
            "modality": _MODALITIES[truth.modality],
            "region": REGION_NAMES[truth.region].said(lang),
            "yes": _SAID[lang, "包含" in question][there],
        }
        rows.append(
            {
                "question": question.format(
                    a=f"{'an' if name.en[0][0] in 'aeiou' else 'a'} {name.en[0]}", x=name.zh[0]
                ),
                "answer": answer.format(**values),
                "q_lang": lang,
                "location": _LOCATIONS.get(truth.region, truth.region),
                "modality": _MODALITIES[truth.modality],
                "answer_type": answer_type,
                "base_type": "vqa",
                "content_type": content,
                "triple": ["vhead", "_", "_"],
            }
        )
    return rows


BENCHMARKS = {
    "slake": Benchmark(
        name="slake",
        title="SLAKE",
        group="2d",
        splits=("test", "validate", "train"),
        template="slake-1",
        primary="accuracy",
        read=_read,
        twin=_twin,
        files="`test.json`, `validate.json`, `train.json`, `imgs/`",
        source="https://www.med-vqa.com/slake/",
        licence="the publisher's terms",
    )
}
