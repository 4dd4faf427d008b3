"""The shipped modes, as their families make them of the shipped configuration."""

from collections.abc import Mapping
from typing import Final

from dataflow.config.files import list_modes, load_run_config
from strategies.families import spec_of
from strategies.rules import ModeSpec

MODES: Final[Mapping[str, ModeSpec]] = {name: spec_of(load_run_config(name).config.mode) for name in list_modes()}
