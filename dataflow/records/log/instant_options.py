"""Instants as options of the command line name them."""

import numpy as np

from dataflow.records.log import instants
from schemas.errors import ConfigValidationError


def parse_instant(text: str, option: str) -> np.datetime64:
    """The instant that a text names, UTC; ConfigValidationError (CONFIG-003) for any other text.

    >>> parse_instant("2024-05-12T00:00Z", "--start")
    np.datetime64('2024-05-12T00:00:00')
    """
    try:
        return np.datetime64(instants.instant_text(instants.parse_instant(text)), "s")
    except ValueError as error:
        raise ConfigValidationError(
            f"{option} {text!r} is not an instant; write 2024-05-12 or 2024-05-12T00:00Z", option=option
        ) from error
