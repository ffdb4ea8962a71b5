"""Benchmarks, metrics and statistics will live in this room; nothing is released yet."""
