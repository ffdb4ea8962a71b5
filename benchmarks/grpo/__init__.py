"""Reinforcement beside supervised training gone on with: `python -m benchmarks.grpo`."""
