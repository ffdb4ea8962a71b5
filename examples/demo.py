"""`make demo`: ask the starter about real studies and show where the answers are.

Every study is real and openly licensed; none of those asked about here was used for training. Overlays, masks and
reports go to `out/demo`.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import vesalius
from fetch_studies import studies
from vesalius.cli.ask import finding_lines

OUT = Path("out/demo")

QUESTIONS = (
    ("chest CT with a tumour (NRRD)", "lung2", "Where is the tumour?"),
    ("brain MRI with a tumour (NRRD)", "brain2", "Outline the brain."),
    ("chest X-ray (DICOM)", "chest_xray", "Outline the lungs."),
    ("echocardiogram (DICOM cine)", "echo", "What kind of scan is this?"),
    ("brain MRI template (NIfTI)", "mni152", "Which body part is shown?"),
)


def main() -> int:
    started = time.perf_counter()
    paths = studies()
    model = vesalius.load("starter")
    print(f"{model.notice}\n")
    for title, name, question in QUESTIONS:
        asked = time.perf_counter()
        study = vesalius.read(str(paths[name]))
        answer = model.ask(study, question)
        written = answer.save(OUT / name)
        print(f"{title}\n  Q: {question}\n  A: {answer.text}")
        for line in finding_lines(answer):
            print(f"     {line}")
        for warning in answer.trace["warnings"]:
            print(f"     note: {warning}")
        for path in written:
            print(f"     wrote {path}")
        print(f"     {time.perf_counter() - asked:.1f} s\n")
    print(f"All done in {time.perf_counter() - started:.1f} s. Open {OUT}/*/report.html to look.")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except vesalius.VesaliusError as error:
        print(f"demo: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
