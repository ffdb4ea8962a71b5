"""Rows per second of `vesalius data check` on a generated file: schema, turns, marks, places, ids, statistics, and for
every row its own picture: is it there, how large is it, does it end where it should.

    python benchmarks/data_check.py --rows 50000
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from vesalius.limits import usable_cores
from vesalius.training.data.check import check_samples


def write_data(folder: Path, num_rows: int, num_pictures: int) -> Path:
    """`num_rows` rows over `num_pictures` picture files; every thousandth row is bad."""
    (folder / "images").mkdir()
    rng = np.random.default_rng(0)
    for k in range(num_pictures):
        pixels = rng.integers(0, 255, (64, 64), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{k}.{'png' if k % 2 else 'jpg'}")
    path = folder / "train.jsonl"
    with path.open("w", encoding="utf-8") as out:
        for k in range(num_rows):
            name = k % num_pictures
            box = [1.0, 2.0, 200.0 if k % 1000 == 999 else 30.5, 40.0]
            text = f"There is one nodule, here: <bbox>. The rest of picture {k} shows nothing of note. " * 3
            turns = [
                {"role": "user", "text": f"<image>\nWhere is the nodule in picture {k}?"},
                {"role": "assistant", "text": text.replace("<bbox>", "[1]"),
                 "targets": {"boxes": [{"label": "nodule", "box": box, "number": 1}]}},
                {"role": "user", "text": "How many are there?"},
                {"role": "assistant", "text": "One.", "targets": {"counts": [{"label": "nodule", "count": 1}]}},
            ]  # fmt: skip
            row = {
                "id": f"row-{k}", "patient": f"p{k // 4}", "turns": turns,
                "media": [{"kind": "image", "path": f"images/{name}.{'png' if name % 2 else 'jpg'}"}],
                "tags": {"modality": ("ct", "mr", "xray")[k % 3], "area": "chest", "task": "box"},
            }  # fmt: skip
            out.write(json.dumps(row) + "\n")
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--pictures", type=int, default=0, help="picture files; 0: one for every row")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        began = time.perf_counter()
        path = write_data(Path(temporary), given.rows, given.pictures or given.rows)
        print(f"wrote {given.rows} rows in {time.perf_counter() - began:.1f} s; {usable_cores()} cores")
        began, used = time.perf_counter(), time.process_time()
        found = check_samples(path)
        wall, cpu = time.perf_counter() - began, time.process_time() - used
        assert found.num_bad_rows == given.rows // 1000, found.num_bad_rows
        print(f"{found.rows} rows, {found.num_bad_rows} bad, every row with its own picture: {not given.pictures}")
        print(f"wall {wall:.2f} s: {found.rows / wall:,.0f} rows/s; CPU {cpu:.2f} s: {found.rows / cpu:,.0f} rows/s")


if __name__ == "__main__":
    main()
