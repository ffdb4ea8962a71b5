"""Connected pieces of small masks."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from vesalius.models.parts.largest_pieces import largest_pieces


def drawn(*rows: str) -> np.ndarray:
    return np.array([[cell == "#" for cell in row] for row in rows])


def test_small_pieces_go_and_large_ones_stay() -> None:
    mask = drawn("##..#", "##...", "...##", "#..##")
    assert np.array_equal(largest_pieces(mask, 0.5), drawn("##...", "##...", "...##", "...##"))
    assert np.array_equal(largest_pieces(mask, 0.0), mask)


def test_a_bent_piece_is_one() -> None:
    mask = drawn("#.#.#", "#.#.#", "#####", ".....", "###..")
    assert np.array_equal(largest_pieces(mask, 0.5), drawn("#.#.#", "#.#.#", "#####", ".....", "....."))


@given(arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=12)), st.floats(0, 1))
def test_as_flooding_says(mask: np.ndarray, share: float) -> None:
    left, pieces = mask.copy(), []
    while left.any():
        piece, edge = np.zeros_like(mask), [tuple(np.argwhere(left)[0])]
        while edge:
            row, column = edge.pop()
            if 0 <= row < mask.shape[0] and 0 <= column < mask.shape[1] and left[row, column]:
                left[row, column], piece[row, column] = False, True
                edge += [(row + 1, column), (row - 1, column), (row, column + 1), (row, column - 1)]
        pieces.append(piece)
    most = max((piece.sum() for piece in pieces), default=0)
    kept = [piece for piece in pieces if piece.sum() >= share * most]
    assert np.array_equal(largest_pieces(mask, share), np.logical_or.reduce([np.zeros_like(mask), *kept]))
