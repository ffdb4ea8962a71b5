"""Write the table of docs/benchmarks-available.md from the registry."""

from __future__ import annotations

from pathlib import Path

from vesalius.evaluation.benchmarks import BENCHMARKS, benchmark

PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks-available.md"
START, END = "<!-- table: scripts/write_benchmark_table.py -->", "<!-- end of table -->"
HEAD = (
    "| name | benchmark | files in the folder | splits | prompt | leads with | source | licence |\n"
    "|---|---|---|---|---|---|---|---|\n"
)


def table() -> str:
    """One row a benchmark, in the registry's order."""
    rows: list[str] = []
    for name in BENCHMARKS:
        found = benchmark(name)
        cells = [f"`{name}`", found.title, found.files, ", ".join(found.splits), f"`{found.template}`", found.primary]
        cells += [found.source, found.licence]
        rows.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n")
    return HEAD + "".join(rows)


def main() -> None:
    """Put the table between its marks."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(START)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{START}\n\n{table()}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
