"""Metrics: pure functions of stored predictions, one subject a file. `docs/metrics.md` lists them all."""
