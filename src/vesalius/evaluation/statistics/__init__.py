"""Intervals and tests: resampling clusters, comparing two runs, several seeds."""

from vesalius.evaluation.statistics.bootstrap import (
    Interval,
    bootstrap_difference,
    bootstrap_macro,
    bootstrap_mean,
    bootstrap_ratio,
    bootstrap_relative,
)
from vesalius.evaluation.statistics.clusters import Clusters, cluster_items, clustered_standard_error
from vesalius.evaluation.statistics.compare import Holm, McNemar, holm, mcnemar, randomisation_p
from vesalius.evaluation.statistics.kappa import KappaInterval, bootstrap_kappa
from vesalius.evaluation.statistics.seeds import SeedSummary, over_seeds

__all__ = [
    "Clusters",
    "Holm",
    "Interval",
    "KappaInterval",
    "McNemar",
    "SeedSummary",
    "bootstrap_difference",
    "bootstrap_kappa",
    "bootstrap_macro",
    "bootstrap_mean",
    "bootstrap_ratio",
    "bootstrap_relative",
    "cluster_items",
    "clustered_standard_error",
    "holm",
    "mcnemar",
    "over_seeds",
    "randomisation_p",
]
