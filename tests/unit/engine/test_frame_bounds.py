"""The quick yes of a frame says yes only where Pandera does, and to every frame of a run it does say yes.

Each declared column is given values at, inside and outside its bounds, missing ones and other types; what Pandera makes
of them is the oracle.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pandera.errors
import pandera.pandas as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow.graph.frame_bounds import within_bounds
from dataflow.graph.validation import validate_stage
from schemas.errors import PlatformError
from schemas.frames import FRAMES
from schemas.units import Column
from tests.support.markets import quiet_market
from tests.support.runs import prepared, run_in_memory

STAGES = ("market", "positions", "exposure", "risk", "pnl", "decision")
VALUES = (0.0, 1.0, -1.0, 2.0, 0.5, -0.05, 0.05, np.nextafter(0.05, 1.0), 1e15, np.nextafter(1e15, np.inf), -1e-6)
SPECIAL = (np.nan, np.inf, -np.inf, 1e-9, 1e9, -1e15, -1e16, 1e3, 0.999)


@cache
def schema(stage: str) -> pa.DataFrameSchema:
    return FRAMES[stage].to_schema()


def pandera_accepts(stage: str, columns: Mapping[str, Column]) -> bool:
    try:
        schema(stage).validate(pd.DataFrame(dict(columns)), lazy=True)
    except pandera.errors.SchemaErrors:
        return False
    return True


def declared(stage: str) -> list[str]:
    """A column name for each column that the frame declares."""
    columns = schema(stage).columns.items()
    return [name.strip("^").replace(r"\.", ".okx") if column.regex else name for name, column in columns]


@st.composite
def stage_columns(draw: st.DrawFn) -> tuple[str, dict[str, Column]]:
    stage = draw(st.sampled_from(STAGES))
    names = draw(st.lists(st.sampled_from([*declared(stage), "no_such_column"]), min_size=1, max_size=3, unique=True))
    values = st.lists(st.sampled_from(VALUES + SPECIAL), min_size=2, max_size=2)
    return stage, {name: np.array(draw(values)) for name in names}


@given(stage_columns())
def test_what_the_bounds_accept_pandera_accepts_and_the_other_way_round(drawn: tuple[str, dict[str, Column]]) -> None:
    stage, columns = drawn
    assert within_bounds(stage, columns) == pandera_accepts(stage, columns)


@pytest.mark.parametrize("column", [np.array([1, 2]), np.array([1.0, 2.0], dtype=np.float32), np.array([True, False])])
def test_another_type_is_left_to_pandera(column: Column) -> None:
    assert not within_bounds("market", {"reference_price": column})
    with pytest.raises(PlatformError, match="reference_price"):
        validate_stage("market", {"reference_price": column}, {})


def test_a_column_of_venues_is_judged_as_a_whole() -> None:
    marks = np.array([[1.0, 2.0], [3.0, np.nan]])
    assert within_bounds("market", {"perp_mark": marks[:1]})
    assert not within_bounds("market", {"perp_mark": marks})
    assert not within_bounds("market", {"reference_price": marks[:1]}), "not declared with a second axis"
    with pytest.raises(PlatformError, match=r"perp_mark\.bybit"):
        validate_stage("market", {"perp_mark": marks}, {"perp_mark": ("okx", "bybit")})


@pytest.mark.parametrize("mode", ["pure_lending_usdt", "btc_basis"])
def test_every_stage_of_a_run_is_accepted_without_pandera(mode: str, tmp_path: Path) -> None:
    run = run_in_memory(prepared(mode), quiet_market(mode, 9), tmp_path)
    assert set(run.columns) == set(STAGES)
    for stage, columns in run.columns.items():
        assert within_bounds(stage, columns), stage
