"""Scores of single items, one file for the task kinds that share a rule. `score.score_run` adds them up."""
