"""Benchmarks: one file for each or for a few alike, and the registry that names them."""

from vesalius.evaluation.benchmarks.registry import BENCHMARKS, benchmark

__all__ = ["BENCHMARKS", "benchmark"]
