"""`vesalius contamination`: how much of a benchmark a training set holds."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import Annotated, cast

import typer

from vesalius.cli.printing import print_json, waiting

__all__ = ["contamination"]


def contamination(
    training: Annotated[
        str,
        typer.Argument(metavar="TRAINING", help="samples.jsonl, NAME=DIR, NAME:SPLIT=DIR or a folder of pictures."),
    ],
    benchmark: Annotated[str, typer.Argument(metavar="BENCHMARK", help="The same, or a run's folder.")],
    n: Annotated[int, typer.Option("--ngram", help="Words that count as the same when they follow each other.")] = 8,
    embedding: Annotated[
        str, typer.Option(help="starter (its image encoder), pixels, or auto: the encoder if it is here.")
    ] = "auto",
    out: Annotated[Path | None, typer.Option(help="Write counts, rates and all pairs to this JSON file.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")] = False,
) -> None:
    """Look for a benchmark's pictures and questions in a training set."""
    from vesalius.evaluation.contamination import Embedding
    from vesalius.evaluation.contamination import contamination as look
    from vesalius.findings.writing import replacing

    with waiting("comparing"):
        found = look(training, benchmark, n=n, embedding=cast("Embedding", embedding))
    text = json_module.dumps(found.to_json(), ensure_ascii=False, indent=1)
    if out is not None:
        with replacing(out) as temporary:
            temporary.write_text(text + "\n", encoding="utf-8", errors="replace")
    if json:
        print_json(found.to_json(), indent=1)
        return
    print(found)
    for pair in found.pairs[:10]:
        cosine = "" if pair.cosine is None else f", cosine {pair.cosine:.3f}"
        bits = "" if pair.bits is None else f", {pair.bits} bits differ"
        print(f"  {pair.benchmark} is {pair.training} ({pair.kind}{bits if pair.kind == 'near' else ''}{cosine})")
    if len(found.pairs) > 10:
        rest = "" if out is not None else "; --out writes them"
        print(f"  and {len(found.pairs) - 10} more{rest}")
