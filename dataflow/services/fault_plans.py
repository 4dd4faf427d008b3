"""Fault plans on disk, and the venues of a run that follow one."""

from pathlib import Path
from typing import Final

import numpy as np

from dataflow.config.catalogue import ConfigTree, yaml_files
from dataflow.config.files import CONFIG_ROOT
from dataflow.config.loader import ConfigLoader, shown
from dataflow.engine.backtest import Backtest
from dataflow.graph.state import RunState
from dataflow.market.market import Market
from dataflow.services.simulated_venues import PortWrapper
from dataflow.venues.faults.plan import FaultPlan
from dataflow.venues.faults.port import FaultyPort
from dataflow.venues.simulated.clock import SimulatedClock
from dataflow.venues.simulated.world import SimulatedWorld
from schemas.errors import ConfigValidationError
from schemas.port import OrderPort
from schemas.spelling import close_match

FAMILY: Final = "faults"


def list_fault_plans(root: Path = CONFIG_ROOT) -> tuple[str, ...]:
    """Return the names of the shipped plans, sorted."""
    return tuple(path.stem for path in yaml_files(root / FAMILY))


def load_fault_plan(name: str, root: Path = CONFIG_ROOT) -> FaultPlan:
    """Return the plan of a name, or of a YAML file.

    Raises ConfigValidationError (CONFIG-003) for an unknown name, and one that lists every fault of the file with its
    line.
    """
    path = root / FAMILY / f"{name}.yaml"
    if name not in list_fault_plans(root):
        path = Path(name)
        if not path.is_file():
            known = list_fault_plans(root)
            message = f"no fault plan {name!r}{close_match(name, known)}; plans: {', '.join(known)}, or name a file"
            raise ConfigValidationError(message, faults=name)
    loader = ConfigLoader(ConfigTree((root,)), ())
    plan = loader.fault_plan(path)
    if plan is None:
        listed = "; ".join(map(str, sorted(dict.fromkeys(loader.faults))))
        raise ConfigValidationError(f"fault plan refused: {listed}", file=shown(path))
    return plan


def fault_wrapper(
    plan: FaultPlan, backtest: Backtest, market: Market, *, seed: int, state: RunState | None = None
) -> PortWrapper:
    """Return what puts a plan between the engine and the venues of a run; ``state`` is that of a partition before."""
    first = market.instants[market.first_row].astype(np.int64)
    started = int(first) if state is None else int(float(state.values["run_start_seconds"]))
    step, manager = backtest.config.mode.clock_step_seconds, backtest.config.mode.component_config.execution_manager

    def wrap(port: OrderPort, world: SimulatedWorld, clock: SimulatedClock) -> OrderPort:
        return FaultyPort(
            port,
            plan,
            mode=backtest.spec.mode,
            seed=seed,
            world=world,
            clock=clock,
            row=lambda: (int(world.instant.timestamp()) - started) // step,
            execution_timeout=manager.execution_timeout,
            valid_for=manager.validity_window + manager.void_margin,
            operations_before=0 if state is None else state.operations,
        )

    return wrap
