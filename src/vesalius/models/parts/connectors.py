"""From encoder tokens to the language model's width: an MLP, alone, after pooling a 3D grid, or after attention.

Parameter names are those of the published MedM-VL checkpoints (`connector.0`, `connector.2`, …, `query`, `attn`).
"""

from __future__ import annotations

import re

import torch
from torch import Tensor, nn
from torch.nn import functional

from vesalius.errors import CheckpointError

__all__ = ["AttentionPooling", "MlpConnector", "SpatialPooling", "mlp_depth"]


def mlp_depth(name: str) -> int:
    """Number of linear layers of a connector called `mlp2x_gelu`; CheckpointError for another name."""
    match = re.fullmatch(r"mlp(\d+)x_gelu", name)
    if match is None or int(match[1]) < 1:
        raise CheckpointError(f"connector {name!r} is unknown; mlp1x_gelu, mlp2x_gelu, … are supported.")
    return int(match[1])


class MlpConnector(nn.Module):
    """`[B, T, inner]` → `[B, T, outer]`: linear layers with GELU between them."""

    def __init__(self, inner: int, outer: int, depth: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Linear(inner, outer)]
        for _ in range(depth - 1):
            layers += [nn.GELU(), nn.Linear(outer, outer)]
        self.connector = nn.Sequential(*layers)

    def reset_parameters(self) -> None:
        """The published start: matrices with a spread of 0.02 (the language models' own), biases 0."""
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, std=0.02)
                nn.init.zeros_(layer.bias)

    def num_tokens(self, num_tokens: int) -> int:
        """How many tokens `forward` makes of so many."""
        return num_tokens

    def pool(self, tokens: Tensor) -> Tensor:
        """What the MLP reads."""
        return tokens

    def forward(self, tokens: Tensor) -> Tensor:
        return self.connector(self.pool(tokens))


class SpatialPooling(MlpConnector):
    """Means over 2×2×2 neighbours of a (slices, rows, columns) grid, then the MLP; odd rests are dropped."""

    def __init__(self, inner: int, outer: int, depth: int, grid: tuple[int, int, int]) -> None:
        super().__init__(inner, outer, depth)
        self.grid = grid

    def num_tokens(self, num_tokens: int) -> int:
        d, h, w = self.grid
        return (d // 2) * (h // 2) * (w // 2)

    def pool(self, tokens: Tensor) -> Tensor:
        grid_BDdhw = tokens.transpose(1, 2).unflatten(2, self.grid)
        # In float32: the CPU pools no half precision.
        return functional.avg_pool3d(grid_BDdhw.float(), 2, 2).to(tokens.dtype).flatten(2).transpose(1, 2)


class AttentionPooling(MlpConnector):
    """Learned queries `[Q, inner]` attend to all tokens (8 heads), then the MLP. Blind to the order of its tokens, so
    to the order of slices too."""

    def __init__(self, inner: int, outer: int, depth: int, num_queries: int, heads: int = 8) -> None:
        super().__init__(inner, outer, depth)
        self.query = nn.Parameter(torch.zeros(num_queries, inner))
        self.attn = nn.MultiheadAttention(inner, heads, batch_first=True)

    def reset_parameters(self) -> None:
        """Likewise; queries N(0, 1), what projects them and the tokens by Xavier's rule."""
        super().reset_parameters()
        nn.init.normal_(self.query)
        nn.init.xavier_uniform_(self.attn.in_proj_weight)
        nn.init.zeros_(self.attn.in_proj_bias)

    def num_tokens(self, num_tokens: int) -> int:
        return len(self.query)

    def pool(self, tokens: Tensor) -> Tensor:
        queries = self.query.expand(len(tokens), -1, -1)
        return self.attn(queries, tokens, tokens, need_weights=False)[0]
