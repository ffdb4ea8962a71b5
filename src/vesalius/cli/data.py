"""`vesalius data`: check training data, convert it, split it by patient, say its schema."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vesalius.cli.printing import print_json, waiting

if TYPE_CHECKING:
    from vesalius.training.data.check import Checked

__all__ = ["app"]

app = typer.Typer(help="Check training data, convert it, split it by patient.", no_args_is_help=True)
_LISTED = 20
"""Bad rows printed one by one; --json and --out hold all."""


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="Samples: .jsonl, .jsonl.gz, .parquet, a folder or pattern of shards.")],
    out: Annotated[Path | None, typer.Option(help="Write the report with plots here (.html).")] = None,
    against: Annotated[
        list[Path] | None, typer.Option(help="Other splits: no patient, picture or sample may be in both.")
    ] = None,
    tokenizer: Annotated[
        Path | None, typer.Option(help="Folder or tokenizer.json to count tokens with; estimated without.")
    ] = None,
    max_length: Annotated[
        int | None, typer.Option(help="Say how many samples are longer than this many tokens.")
    ] = None,
    decode: Annotated[
        bool, typer.Option("--decode", help="Decode every medium; finds what headers do not show.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print everything as JSON and nothing else.")] = False,
) -> int:
    """Find every bad row, and say what the data are: lengths, modalities, labels, balance, leaks."""
    from vesalius.training.data.check import check_samples
    from vesalius.training.data.check_report import write_report

    with waiting("checking"):
        found = check_samples(file, against=against or (), tokenizer=tokenizer, max_length=max_length, decode=decode)
        if out is not None:
            write_report(found, out)
    if json:
        print_json(found.to_json(), indent=1)
    else:
        _show(found, out)
    return 2 if found.bad or found.faults else 0


def _show(found: Checked, out: Path | None) -> None:
    from vesalius.training.data.check_report import summary_lines

    for fault in found.faults:
        print(fault)
    for one in found.bad[:_LISTED]:
        print(one)
    if len(found.bad) > _LISTED:
        print(f"… and {len(found.bad) - _LISTED} more bad rows; --json lists all.")
    for line in summary_lines(found):
        print(line)
    if out is not None:
        print(f"Report with plots: {out}")


@app.command()
def schema(
    out: Annotated[Path | None, typer.Option(help="Write it here instead of printing it (.json).")] = None,
) -> None:
    """Print the JSON Schema of a training sample."""
    from vesalius.dialogue.sample_schema import schema_text
    from vesalius.findings.writing import replacing

    if out is None:
        print(schema_text(), end="")
        return
    with replacing(out) as temporary:
        temporary.write_text(schema_text(), encoding="utf-8")


@app.command()
def convert(
    source: Annotated[Path, typer.Argument(help="Foreign data: a file, folder or pattern.")],
    target: Annotated[Path, typer.Argument(help="File to write: .jsonl, .jsonl.gz, .parquet, or as --to needs.")],
    from_format: Annotated[
        str, typer.Option("--from", help="Format of the source; auto tells it by content.")
    ] = "auto",
    to: Annotated[str, typer.Option(help="Format of the target; auto is samples of this package.")] = "auto",
    media: Annotated[Path | None, typer.Option(help="Folder that media paths start from.")] = None,
    dialect: Annotated[
        str | None, typer.Option(help="How texts spell places: parens, box999, medmo, medmvl, qwen-json, unit…")
    ] = None,
    coord: Annotated[
        str | None, typer.Option(help="Frame of spelt places: abs_original, norm1000, norm999, norm100, norm1.")
    ] = None,
    labels: Annotated[str | None, typer.Option(help="Names of numbers: 1=liver,2=tumour.")] = None,
    question: Annotated[str | None, typer.Option(help="Question of data without words; {label} is the label.")] = None,
    column: Annotated[list[str] | None, typer.Option(help="CSV: path=NAME, label=NAME, patient=NAME.")] = None,
    series: Annotated[Path | None, typer.Option(help="DICOM SEG: folder of the series it was drawn on.")] = None,
    lang: Annotated[str, typer.Option(help="Language of the texts.")] = "en",
    modality: Annotated[str, typer.Option(help="Tag of every sample, as ct, mr, xray.")] = "unknown",
    area: Annotated[str, typer.Option(help="Tag of every sample, as chest.")] = "unknown",
    task: Annotated[str | None, typer.Option(help="Tag of every sample, as box, report.")] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Write the good rows and list the others.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print what was done as JSON.")] = False,
) -> int:
    """Turn LLaVA, ms-swift, COCO, mask folders, DICOM SEG and others into samples, and back."""
    from dataclasses import asdict

    from vesalius.dialogue.convert.contract import Options
    from vesalius.dialogue.convert.convert import convert as converted

    options = Options(
        media=media, dialect=_dialect(dialect), coord=_coord(coord), labels=_labels(labels), question=question,
        columns=_pairs(column or (), "--column"), lang=lang, modality=modality, area=area, task=task, series=series,
    )  # fmt: skip
    with waiting("converting"):
        done = converted(
            source, target, source_format=from_format, target_format=to, options=options, skip_bad=skip_bad
        )
    failed = bool(done.bad) and not skip_bad
    if json:
        print_json({**asdict(done), "target": str(target)}, indent=1)
        return 2 if failed else 0
    for one in done.bad[:_LISTED]:
        print(one)
    if len(done.bad) > _LISTED:
        print(f"… and {len(done.bad) - _LISTED} more bad rows; --json lists all.")
    for note, count in done.notes.items():
        print(f"Note: {note} ({count}).")
    if failed:
        print(f"{len(done.bad)} of {done.rows} rows are bad; nothing was written. --skip-bad writes the others.")
        return 2
    left = f", {len(done.bad)} bad rows left out" if done.bad else ""
    print(
        f"{target}: {done.samples} samples as {done.target_format} from {done.rows} rows of {done.source_format}{left}."
    )
    return 0


def _dialect(name: str | None) -> str | None:
    if name is not None:
        from vesalius.dialogue.convert.spelled import SPELT
        from vesalius.findings.dialects.table import dialect_named

        dialect_named(name)
        if name not in SPELT:
            from vesalius.errors import OptionError

            raise OptionError(f"texts in dialect {name!r} are not converted.", fix=f"Known: {', '.join(SPELT)}.")
    return name


def _coord(name: str | None) -> str | None:
    if name is not None:
        from vesalius.errors import OptionError

        known = ("abs_original", "norm1000", "norm999", "norm100", "norm1")
        if name not in known:
            raise OptionError(f"coord is {name!r}.", fix=f"Use one of {', '.join(known)}.")
    return name


def _pairs(given: Any, what: str) -> dict[str, str]:
    from vesalius.errors import OptionError

    made: dict[str, str] = {}
    for one in given:
        key, equals, value = one.partition("=")
        if not equals or not key.strip() or not value.strip():
            raise OptionError(f"{what} {one!r} is not key=value.")
        made[key.strip()] = value.strip()
    if what == "--column" and (unknown := set(made) - {"path", "label", "patient"}):
        raise OptionError(f"--column has no {sorted(unknown)[0]!r}.", fix="Known: path, label, patient.")
    return made


def _labels(given: str | None) -> dict[int, str]:
    from vesalius.errors import OptionError

    pairs = _pairs(given.split(","), "--labels") if given else {}
    if wrong := [key for key in pairs if not key.isdecimal()]:
        raise OptionError(f"--labels names {wrong[0]!r}, which is no number.", fix="Write 1=liver,2=tumour.")
    return {int(key): value for key, value in pairs.items()}


@app.command()
def split(
    file: Annotated[Path, typer.Argument(help="Samples: .jsonl, .jsonl.gz, .parquet, a folder or pattern of shards.")],
    out: Annotated[Path, typer.Option(help="Folder for train.jsonl, val.jsonl, test.jsonl.")],
    parts: Annotated[str, typer.Option(help="Names and shares.")] = "train=0.8,val=0.1,test=0.1",
    by: Annotated[str, typer.Option(help="patient; or media: samples that share a file stay together.")] = "patient",
    seed: Annotated[int, typer.Option(help="Another seed, another split.")] = 0,
    parquet: Annotated[bool, typer.Option("--parquet", help="Write .parquet.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print what was done as JSON.")] = False,
) -> int:
    """Split samples so that no patient and no picture is on two sides; the same file and seed give the same split."""
    from dataclasses import asdict

    from vesalius.errors import OptionError
    from vesalius.training.data.splits import split_samples

    shares: dict[str, float] = {}
    for name, share in _pairs(parts.split(","), "--parts").items():
        try:
            shares[name] = float(share)
        except ValueError as exc:
            raise OptionError(f"--parts gives {name} the share {share!r}.", fix="Write train=0.8,test=0.2.") from exc
    with waiting("splitting"):
        done = split_samples(file, out, shares, by=by, seed=seed, parquet=parquet)
    if json:
        print(json_module.dumps(asdict(done), ensure_ascii=False, indent=1, default=str))
        return 0
    for one in done.parts:
        print(f"{one.file}: {one.samples} samples of {one.groups} {done.kind}.")
    for note in done.notes:
        print(f"Note: {note}")
    print("Checked: no patient, picture or sample is in two parts.")
    return 0
