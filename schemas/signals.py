"""What a model predicts, as words in files and as numbers in columns. [domain] 9.7."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

LONG: Final = 1.0
SHORT: Final = -1.0
NEUTRAL: Final = 0.0
HOLD_SIGNAL: Final = 2.0
"""Keep what is held."""

SIGNAL_CODES: Final[Mapping[str, float]] = MappingProxyType(
    {"long": LONG, "short": SHORT, "neutral": NEUTRAL, "hold": HOLD_SIGNAL}
)
"""Word to number; the number of a direction is its sign."""
