"""The code location that Dagster loads: every mode that has a strategy, a job each, in one process.

Start it with ``make ui``, or with ``dagster dev -m dagster_project.definitions``. Launch several months from the page
of a job: from the lineage page Dagster 1.13.27 takes one month or all, but refuses a range of a multi-asset, because it
compares equal sets of partitions by their tuples.
"""

import dagster as dg

from dagster_project.assets import mode_assets
from dagster_project.partitions import Months
from dataflow.config.files import list_modes


def build_definitions(months: Months) -> dg.Definitions:
    """Assets, checks and jobs of all modes over the months given."""
    modes = list_modes()
    return dg.Definitions(
        assets=[mode_assets(mode, months).definition() for mode in modes],
        jobs=[
            dg.define_asset_job(
                job_name(mode),
                selection=dg.AssetSelection.key_prefixes([mode]),
                description=f"Months of {mode}, each from the state of the one before; several start in order.",
            )
            for mode in modes
        ],
        executor=dg.in_process_executor,
    )


def job_name(mode: str) -> str:
    """Name of the job of a mode."""
    return f"{mode}_backtest"


defs = build_definitions(Months.from_environment())
