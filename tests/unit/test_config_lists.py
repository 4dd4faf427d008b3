"""Every list of a configuration file is a set or a sequence, and a sequence that is out of order is refused."""

from collections.abc import Iterator
from typing import Annotated, Literal, get_args, get_origin

import pytest
from pydantic import BaseModel

from dataflow.config.files import load_report
from dataflow.venues.faults.plan import FaultPlan
from schemas.errors import ErrorCode
from schemas.models.config import ModeConfig, ScenarioConfig, ShareClassConfig, VenueConfig
from schemas.models.config_base import ListOrder


def _lists(model: type[BaseModel]) -> Iterator[str]:
    """Fields of a model and of the blocks in it that hold a list whose order is not declared."""
    for name, info in model.model_fields.items():
        for annotation, metadata in _parts(info.annotation, tuple(info.metadata)):
            if get_origin(annotation) is tuple and not any(isinstance(item, ListOrder) for item in metadata):
                yield f"{model.__name__}.{name}"
            if isinstance(annotation, type) and issubclass(annotation, BaseModel):
                yield from _lists(annotation)


def _parts(annotation: object, metadata: tuple[object, ...]) -> Iterator[tuple[object, tuple[object, ...]]]:
    """An annotation and everything inside it, each with what is said of it."""
    if get_origin(annotation) is Annotated:
        inner, *said = get_args(annotation)
        yield from _parts(inner, tuple(said))
        return
    yield annotation, metadata
    if get_origin(annotation) is not Literal:
        for part in get_args(annotation):
            yield from _parts(part, ())


@pytest.mark.parametrize("model", [ModeConfig, VenueConfig, ShareClassConfig, ScenarioConfig, FaultPlan])
def test_every_list_says_whether_its_order_counts(model: type[BaseModel]) -> None:
    assert sorted(set(_lists(model))) == []


def test_a_list_that_says_nothing_of_its_order_is_found() -> None:
    class Undeclared(BaseModel):
        tokens: dict[str, tuple[str, ...]]

    assert list(_lists(Undeclared)) == ["Undeclared.tokens"]


@pytest.mark.parametrize(
    ("override", "right"),
    [
        ("venue:binance.slippage_bps.bucket_bounds_usd=[1000000, 100000]", "[100000, 1000000]"),
        ("venue:binance.slippage_bps.spot.BTCUSDT=[3, 1, 2]", "[1, 2, 3]"),
    ],
)
def test_a_sequence_in_a_wrong_order_is_refused_with_the_right_one(override: str, right: str) -> None:
    (fault,) = load_report("btc_basis", overrides=[override]).faults
    assert fault.code is ErrorCode.CONFIG_VENUE_INVALID
    assert f"write {right}" in str(fault)
