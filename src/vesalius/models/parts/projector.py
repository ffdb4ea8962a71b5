"""From pooled encoder features to the language model's embedding width."""

from __future__ import annotations

from torch import Tensor, nn

__all__ = ["Projector"]


class Projector(nn.Module):
    """Linear, GELU, Linear: `[N, features]` → `[N, hidden]`. The output starts small, as token embeddings are."""

    def __init__(self, features: int, hidden: int) -> None:
        super().__init__()
        self.inner = nn.Linear(features, hidden)
        self.outer = nn.Linear(hidden, hidden)
        self.act = nn.GELU()
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """The start, drawn anew."""
        self.inner.reset_parameters()
        nn.init.normal_(self.outer.weight, std=0.1 * self.outer.in_features**-0.5)
        nn.init.zeros_(self.outer.bias)

    def forward(self, pooled: Tensor) -> Tensor:
        return self.outer(self.act(self.inner(pooled)))
