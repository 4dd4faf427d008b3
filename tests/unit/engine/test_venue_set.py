"""The engine takes its venues, their market and their time from outside, and asks nobody else what time it is."""

import ast
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

import dataflow
from dataflow.execution.system_clock import SYSTEM_CLOCK
from dataflow.execution.venue_set import VenueSet, VenueSetup
from dataflow.graph.inputs import Parameters
from dataflow.services.simulated_venues import simulated_venues
from dataflow.venues.simulated.clock import SimulatedClock
from schemas.holdings import Holdings
from schemas.liquidations import Liquidation
from schemas.models.config import RunConfig
from schemas.operations import PositionSource
from schemas.snapshot import MarketSnapshot
from tests.support.markets import violent_market
from tests.support.runs import differing_columns, prepared, run_in_memory

ROOMS = ("engine", "execution", "settlement")


@dataclass
class Noted:
    """The market and the liquidations of a venue set, which note what they are asked."""

    venues: VenueSet
    decisions: int = 0
    liquidations: int = 0

    def advance_to(self, snapshot: MarketSnapshot, books: Holdings) -> None:
        """Pass it on."""
        self.decisions += 1
        self.venues.market.advance_to(snapshot, books)

    def liquidate(
        self, snapshot: MarketSnapshot, books: Holdings, spared: Sequence[str] = ()
    ) -> tuple[Liquidation, ...]:
        """Pass it on."""
        self.liquidations += 1
        return self.venues.liquidator.liquidate(snapshot, books, spared)

    def balances(self) -> Holdings:
        """Pass it on."""
        return self.venues.liquidator.balances()


def test_a_run_with_a_hand_made_venue_set_is_the_run_with_the_usual_one(tmp_path: Path) -> None:
    notes: list[Noted] = []

    def make(config: RunConfig, parameters: Parameters, first: MarketSnapshot) -> VenueSet:
        usual = simulated_venues().make(config, parameters, first)
        notes.append(Noted(usual))
        return replace(usual, market=notes[0], liquidator=notes[0], source=PositionSource.REAL)

    backtest, market = prepared("btc_basis"), violent_market("btc_basis", 3, 80)
    usual = run_in_memory(backtest, market, tmp_path / "usual")
    handed = run_in_memory(backtest, market, tmp_path / "handed", venues=VenueSetup(make))
    assert differing_columns(usual, handed) == []
    assert usual.state.to_json() == handed.state.to_json()
    assert notes[0].decisions == sum(handed.outcome.counts.decisions.values()) > 0
    assert notes[0].liquidations >= handed.outcome.liquidations
    assert {event["position_type"] for event in usual.events("positions")} == {"simulated"}
    assert {event["position_type"] for event in handed.events("positions")} == {"real"}


@pytest.mark.parametrize("room", ROOMS)
def test_no_room_of_the_engine_builds_a_venue_or_reads_a_clock_of_its_own(room: str) -> None:
    for path in sorted((Path(dataflow.__file__).parent / room).glob("*.py")):
        imported = _imports(path)
        assert not {name for name in imported if name.startswith("dataflow.venues.simulated")}, path
        assert path.name == "system_clock.py" or "time" not in imported, f"{path} is to be handed a schemas.clock.Clock"


def _imports(path: Path) -> set[str]:
    """Modules that a file imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            found.add(node.module)
    return found


def test_the_clock_of_the_machine_goes_on_and_knows_its_zone() -> None:
    before = SYSTEM_CLOCK.monotonic()
    SYSTEM_CLOCK.sleep(0.001)
    SYSTEM_CLOCK.sleep(-1.0)
    assert SYSTEM_CLOCK.monotonic() - before >= 0.001
    assert SYSTEM_CLOCK.now().tzinfo is UTC


def test_a_simulated_clock_waits_without_waiting_and_stays_at_its_instant() -> None:
    instant = datetime(2024, 5, 12, tzinfo=UTC)
    clock = SimulatedClock(lambda: instant)
    clock.sleep(3_600.0)
    assert (clock.monotonic(), clock.now()) == (3_600.0, instant)
