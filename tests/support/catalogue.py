"""The shipped catalogue, for tests that build venues and keys by themselves."""

from typing import Final

from dataflow.config.files import load_catalogue
from dataflow.venues.capabilities import simulated_capabilities
from schemas.instruments import VenueKind

CATALOGUE: Final = load_catalogue()
EXCHANGES: Final = CATALOGUE.venues_of_kind(VenueKind.CEX)
SIMULATED: Final = simulated_capabilities(CATALOGUE)
