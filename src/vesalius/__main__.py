"""`python -m vesalius` is the `vesalius` command."""

from __future__ import annotations

import sys

from vesalius.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
