"""Rad-ReStruct (ChantalMP/Rad-ReStruct): a report as a tree of questions. In the folder, or in its `data/radrestruct/`:
`<split>_qa_pairs/<report>.json` (lists of `[question, answers, history, {answer_type, options, path}]`),
`id_to_img_mapping_frontal_reports.json`, and the pictures of IU-Xray in `images/` or `imgs/`. The published figures
also need the tree itself: `report_keys.json`, `vectorized_question_ids.json`, `vectorized_choice_options.json`.

One sample a node, in published order. `gold`: the list of right answers; `extra`: report, path, answer type, options,
and the history of the right walk. A yes/no node is asked as such, any other one with its options lettered.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, cast

from vesalius.errors import InputError
from vesalius.evaluation.benchmarks.choices import lettered
from vesalius.evaluation.benchmarks.pictures import numbered, picture_file
from vesalius.evaluation.benchmarks.prompts import Style, ask_choice, ask_yes_no, in_styles, template_id
from vesalius.evaluation.benchmarks.rows import Row, find_tables, load_json
from vesalius.evaluation.benchmarks.twin_files import write_bytes, write_json
from vesalius.evaluation.benchmarks.twin_questions import png, truths
from vesalius.evaluation.contract import Benchmark, Medium, Sample

__all__ = ["BENCHMARKS"]

_PICTURES = "id_to_img_mapping_frontal_reports.json"
_KINDS = ("single_choice", "multi_choice", "fixed_choice")


def _read(style: Style, folder: Path, split: str) -> Iterator[Sample]:
    root = folder / "data" / "radrestruct"
    root = root if root.is_dir() else folder
    paths = sorted(find_tables(root, (f"{split}_qa_pairs/*.json",)), key=lambda path: (len(path.stem), path.stem))
    mapping = load_json(root / _PICTURES)
    if not isinstance(mapping, dict):
        raise InputError("is not an object of report → pictures.", file=root / _PICTURES)
    pictures = cast("dict[str, Any]", mapping)
    for path in paths:
        yield from _report(style, root, path, pictures)


def _report(style: Style, root: Path, path: Path, pictures: Mapping[str, Any]) -> Iterator[Sample]:
    report = path.stem
    named = Row(root / _PICTURES, 1, {report: pictures.get(report)})
    names = named.value(report)
    if not isinstance(names, list) or not names:
        raise named.error(report, "there is no list of pictures.")
    places = ("images", "imgs")
    media = numbered(
        [picture_file(named, report, root, f"{name}.png", places) for name in cast("list[Any]", names)],
    )
    nodes = load_json(path)
    if not isinstance(nodes, list) or not nodes:
        raise InputError("is not a list of questions.", file=path)
    for number, node in enumerate(cast("list[Any]", nodes), 1):
        yield _node(style, Row(path, number, _columns(node, path, number)), report, media)


def _columns(node: Any, path: Path, number: int) -> dict[str, Any]:
    if not isinstance(node, list) or len(cast("list[Any]", node)) != 4 or not isinstance(node[3], Mapping):
        raise InputError(f"row {number} is not [question, answers, history, {{…}}].", file=path)
    question, answers, history, told = cast("list[Any]", node)
    return {"question": question, "answers": answers, "history": history, **told}


def _node(style: Style, row: Row, report: str, media: tuple[Medium, ...]) -> Sample:
    question, answer_type, path = row.text("question"), row.text("answer_type"), row.text("path")
    if answer_type not in _KINDS:
        raise row.error("answer_type", f"it is none of {', '.join(_KINDS)}.")
    options, answers = _texts(row, "options"), _texts(row, "answers")
    if not set(answers) <= set(options):
        raise row.error("answers", "an answer is none of the options.")
    yes_no = set(options) == {"yes", "no"}
    letters = None if yes_no else lettered(options)
    return Sample(
        id=f"{report}-{row.number}",
        kind="tree",
        question=question,
        prompt=ask_choice(question, letters, style=style) if letters else ask_yes_no(question, style),
        media=media,
        options=letters,
        gold=answers,
        cluster=report,
        tags={"answer_type": answer_type, "level": str(1 + len(row.value("history")))},
        extra={
            "report": report,
            "path": path,
            "answer_type": answer_type,
            "options": options,
            "history": row.value("history"),
        },
    )


def _texts(row: Row, column: str) -> list[str]:
    value = row.value(column)
    if not isinstance(value, list) or not value:
        raise row.error(column, "the value is not a list with items.")
    return [str(item) for item in cast("list[Any]", value)]


# --- the twin ---------------------------------------------------------------------------------------------------------

_YES_NO, _SIDES = ["yes", "no"], ["left", "right", "unspecified"]
_AREAS = {"nodule": "lung", "consolidation": "lung", "mass": "lung", "effusion": "pleura"}


def _twin(folder: Path, count: int, seed: int) -> None:
    """`count` reports of generated radiographs: is there a disease of lung and pleura, which, on which side."""
    mapping: dict[str, list[str]] = {}
    for k, truth in enumerate(truths("rad-restruct", count, seed, ("xray",)), 1):
        name = f"CXR{k}_IM-{k:04}-1001"
        write_bytes(folder / "images" / f"{name}.png", png(truth))
        mapping[str(k)] = [name]
        nodes: list[Any] = []
        for area in ("lung", "pleura"):
            found: dict[str, set[str]] = {}
            for one in truth.objects:
                if _AREAS.get(one.label) == area:
                    found.setdefault(one.label, set()).add(one.side if one.side in ("left", "right") else "unspecified")
            nodes += _twin_area(area, found)
        write_json(folder / "test_qa_pairs" / f"{k}.json", nodes)
    write_json(folder / _PICTURES, mapping)
    _write_tree(folder)


def _write_tree(folder: Path) -> None:
    """Every answer path of the twin's tree in order, the question each belongs to, and how it is answered."""
    questions: list[tuple[str, list[str], str]] = []
    for area in ("lung", "pleura"):
        root = f"{area}_diseases"
        questions.append(("single_choice", [f"{root}_{one}" for one in _YES_NO], ""))
        for label in (label for label, place in _AREAS.items() if place == area):
            questions.append(("single_choice", [f"{root}_{label}_{one}" for one in _YES_NO], "_0"))
            questions.append(("multi_choice", [f"{root}_{label}_body_region_{one}" for one in _SIDES], "_0"))
    paths = [path + suffix for _, own, suffix in questions for path in own]
    write_json(folder / "report_keys.json", paths)
    write_json(folder / "vectorized_question_ids.json", [k for k, (_, own, _) in enumerate(questions) for _ in own])
    write_json(folder / "vectorized_choice_options.json", {str(k): kind for k, (kind, _, _) in enumerate(questions)})


def _twin_area(area: str, found: Mapping[str, set[str]]) -> Iterator[Any]:
    asked, answer = f"Are there any diseases in the {area}?", ["yes" if found else "no"]
    root = f"{area}_diseases"
    yield _twin_node(asked, answer, [], "single_choice", _YES_NO, root)
    if not found:
        return
    first = [asked, answer]
    for label in (label for label, place in _AREAS.items() if place == area):
        asked, answer = f"Is there {label} in the {area}?", ["yes" if label in found else "no"]
        yield _twin_node(asked, answer, [first], "single_choice", _YES_NO, f"{root}_{label}")
        if label in found:
            path = f"{root}_{label}_body_region"
            history = [first, [asked, answer]]
            yield _twin_node("In which part of the body?", sorted(found[label]), history, "multi_choice", _SIDES, path)


def _twin_node(question: Any, answers: Any, history: Any, kind: str, options: list[str], path: str) -> list[Any]:
    return [question, answers, history, {"answer_type": kind, "options": options, "path": path}]


def _benchmark(style: Style) -> Benchmark:
    return Benchmark(
        name="rad-restruct",
        title="Rad-ReStruct",
        group="reports",
        splits=("test", "val", "train"),
        template=template_id("tree:yn/mcq", style, prefix="A. x"),
        primary="f1",
        read=partial(_read, style),
        twin=_twin,
        files=f"`test_qa_pairs/*.json`, `{_PICTURES}`, `images/`; `report_keys.json` and `vectorized_*.json`",
        source="https://github.com/ChantalMP/Rad-ReStruct",
        licence="MIT; pictures of Open-i",
    )


BENCHMARKS = {"rad-restruct": in_styles(_benchmark)}
