"""Chance that depends on nothing but a seed and what it is asked about.

A stream of random numbers would depend on how often it was asked before: on windows, partitions and retries. Here each
number is a hash of the seed and of the thing it decides, so an order meets the same fault however it is reached.
"""

import hashlib
from dataclasses import dataclass
from typing import Final

_BITS: Final = 64


@dataclass(frozen=True)
class Draws:
    """Even draws from [0, 1), a function of the seed and the name of what is drawn."""

    seed: int

    def unit(self, *about: str | int) -> float:
        """A number from [0, 1).

        >>> Draws(7).unit("order", 1) == Draws(7).unit("order", 1) != Draws(8).unit("order", 1)
        True
        """
        text = "\x1f".join(map(str, (self.seed, *about)))
        digest = hashlib.blake2b(text.encode(), digest_size=_BITS // 8).digest()
        return (int.from_bytes(digest) >> (_BITS - 53)) / 2.0**53

    def between(self, bounds: tuple[float, float], *about: str | int) -> float:
        """A number between two bounds."""
        least, most = bounds
        return least + (most - least) * self.unit(*about)

    def below(self, count: int, *about: str | int) -> int:
        """A whole number from 0 to before ``count``."""
        return int(count * self.unit(*about))
