"""What is said while one waits: on a terminal, and never into a pipe."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

WAIT = "import time; from vesalius.cli.printing import waiting\nwith waiting('drawing'): time.sleep(0.2)"


def test_a_terminal_is_told_what_is_waited_for() -> None:
    ours, theirs = pty.openpty()
    try:
        subprocess.run([sys.executable, "-c", WAIT], stderr=theirs, check=True, env={**os.environ, "TERM": "xterm"})
        assert "drawing…" in os.read(ours, 65536).decode()
    finally:
        os.close(ours)
        os.close(theirs)


def test_a_pipe_is_told_nothing() -> None:
    done = subprocess.run([sys.executable, "-c", WAIT], capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (b"", b"")
