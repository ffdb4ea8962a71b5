"""Verifiable rewards: small pure functions of a completion and the truth of its prompt."""

from vesalius.training.rewards.registry import REWARDS, Reward, WeightedReward, combined, weighted_rewards
from vesalius.training.rewards.truth import Completion, Labelled, Truth

__all__ = [
    "REWARDS",
    "Completion",
    "Labelled",
    "Reward",
    "Truth",
    "WeightedReward",
    "combined",
    "weighted_rewards",
]
