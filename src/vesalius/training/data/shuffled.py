"""A shuffle that is computed, not stored: the n-th of a permutation by a small cipher over positions."""

from __future__ import annotations

from functools import lru_cache

__all__ = ["mixed", "shuffled", "uniform"]

_MASK = (1 << 64) - 1


def mixed(*numbers: int) -> int:
    """A hash of whole numbers to 64 bits (the finaliser of splitmix64 over each); the same everywhere."""
    state = 0x243F6A8885A308D3
    for number in numbers:
        state = (state ^ (number & _MASK)) + 0x9E3779B97F4A7C15 & _MASK
        state = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 & _MASK
        state = (state ^ state >> 27) * 0x94D049BB133111EB & _MASK
        state ^= state >> 31
    return state


def uniform(*numbers: int) -> float:
    """A number in [0, 1) by hash."""
    return (mixed(*numbers) >> 11) / (1 << 53)


@lru_cache(maxsize=4096)
def _round_keys(size: int, key: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(mixed(size, *key, number) for number in range(6))


def shuffled(position: int, size: int, *key: int) -> int:
    """Where `position` of 0 … size-1 goes in the permutation of `key`: six Feistel rounds over the next power of two,
    walked on until inside. Constant memory, any position at once."""
    if size == 1:
        return 0
    bits = (size - 1).bit_length()
    high_bits, low_bits = bits // 2, bits - bits // 2
    high_mask, low_mask = (1 << high_bits) - 1, (1 << low_bits) - 1
    keys = _round_keys(size, key)
    value = position
    while True:
        high, low = value >> low_bits, value & low_mask
        for number in (0, 2, 4):
            low ^= _turn(high ^ keys[number]) & low_mask
            high ^= _turn(low ^ keys[number + 1]) & high_mask
        value = high << low_bits | low
        if value < size:
            return value


def _turn(state: int) -> int:
    state = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 & _MASK
    return (state ^ state >> 27) * 0x94D049BB133111EB >> 32 & _MASK
