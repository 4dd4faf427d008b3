"""Python's search for reference cycles, switched off where many objects are made and none of them in a cycle."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def cycle_search_off() -> Iterator[None]:
    """Keep Python from searching for reference cycles meanwhile.

    Each search looks at every object that lives: at all events of a run that wait to be written, so that ten times the
    rows would cost more than ten times the time, and at every class and function of the modules being imported.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
