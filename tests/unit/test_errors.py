"""Every code of domain 7.1 is registered as specified, every error survives what carries it.

The specification's table is written out here and compared with the registry. Errors must pickle (Dagster's executors
do), fit one line, and the page of the codes must be the one the code generates.
"""

import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow.reference.pages import render_errors_markdown
from schemas import errors
from schemas.errors import COMPONENTS, REGISTRY, ErrorCode, MissingPriceError, PlatformError, Severity, precedence

SEVERITIES = {
    "POS": "HIGH MEDIUM HIGH HIGH CRITICAL",
    "EXP": "HIGH HIGH HIGH HIGH HIGH",
    "RISK": "HIGH HIGH CRITICAL HIGH CRITICAL HIGH",
    "PNL": "HIGH MEDIUM HIGH HIGH MEDIUM",
    "STRAT": "HIGH HIGH HIGH CRITICAL HIGH HIGH",
    "EXEC": "HIGH CRITICAL MEDIUM MEDIUM CRITICAL HIGH CRITICAL HIGH",
    "VEN": "HIGH HIGH HIGH CRITICAL CRITICAL MEDIUM",
    "ENGINE": "CRITICAL CRITICAL CRITICAL CRITICAL",
    "CONFIG": "CRITICAL CRITICAL CRITICAL CRITICAL",
    "DATA": "HIGH HIGH CRITICAL MEDIUM HIGH",
    "LOG": "HIGH MEDIUM CRITICAL HIGH MEDIUM",
    "UTIL": "HIGH HIGH HIGH MEDIUM",
}
SPECIFIED = {
    f"{area}-{number:03d}": severity
    for area, severities in SEVERITIES.items()
    for number, severity in enumerate(severities.split(), start=1)
}
AREAS = {
    "POS": errors.PositionError,
    "EXP": errors.ExposureError,
    "RISK": errors.RiskError,
    "PNL": errors.PnlError,
    "STRAT": errors.StrategyError,
    "EXEC": errors.ExecutionError,
    "VEN": errors.VenueError,
    "ENGINE": errors.EngineError,
    "CONFIG": errors.ConfigError,
    "DATA": errors.DataError,
    "LOG": errors.LogError,
}
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "errors.md"


def leaves(base: type[PlatformError] = PlatformError) -> Iterator[type[PlatformError]]:
    """Every class of ``schemas.errors`` that carries a code."""
    for child in base.__subclasses__():
        if "code" in vars(child) and child.__module__ == errors.__name__:
            yield child
        yield from leaves(child)


every_leaf = pytest.mark.parametrize("leaf", list(leaves()), ids=lambda leaf: leaf.__name__)


def test_the_registry_is_the_specification() -> None:
    assert {spec.code.value: spec.severity.value for spec in REGISTRY.values()} == SPECIFIED


def test_every_code_is_registered_under_itself() -> None:
    assert set(REGISTRY) == set(ErrorCode)
    assert all(spec.code is code for code, spec in REGISTRY.items())


def test_every_area_has_the_component_of_the_specification() -> None:
    assert {spec.area for spec in REGISTRY.values()} == set(COMPONENTS) == set(SEVERITIES)
    assert REGISTRY[ErrorCode.PNL_CALCULATION_FAILED].component == "PnLMonitor"
    assert REGISTRY[ErrorCode.ENGINE_CRITICAL].component == "EventDrivenStrategyEngine"


@pytest.mark.parametrize("code", list(ErrorCode))
def test_meaning_and_action_are_sentences_of_their_own(code: ErrorCode) -> None:
    spec = REGISTRY[code]
    assert spec.meaning.endswith(".")
    assert spec.action.endswith(".")
    assert "|" not in spec.meaning + spec.action
    same = [other.code for other in REGISTRY.values() if other.action == spec.action or other.meaning == spec.meaning]
    assert same == [code]


def test_nothing_critical_is_retried_but_a_source_that_may_come_back() -> None:
    retried = {code for code, spec in REGISTRY.items() if spec.is_retryable and spec.severity is Severity.CRITICAL}
    assert retried == {ErrorCode.DATA_SOURCE_UNAVAILABLE}


@every_leaf
def test_the_class_of_an_error_is_below_its_area(leaf: type[PlatformError]) -> None:
    prefix = leaf.code.partition("-")[0]
    assert leaf.__bases__ == (AREAS[prefix],)


def test_no_two_classes_share_a_code() -> None:
    codes = [leaf.code for leaf in leaves()]
    assert len(codes) == len(set(codes))


@every_leaf
def test_errors_survive_pickling_with_their_context(leaf: type[PlatformError]) -> None:
    error = leaf("no mark at 2024-05-12T08:00", message="also a key", venue="okx", row=3, value=None)
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301  our own bytes
    assert type(copy) is leaf
    assert (copy.message, copy.context, copy.code) == (error.message, error.context, error.code)
    assert copy.one_line() == error.one_line()


@every_leaf
def test_severity_component_and_retry_come_from_the_registry(leaf: type[PlatformError]) -> None:
    error = leaf("x")
    spec = REGISTRY[leaf.code]
    assert (error.severity, error.component, error.is_retryable) == (spec.severity, spec.component, spec.is_retryable)


@given(message=st.text(), value=st.text())
def test_one_line_is_one_line(message: str, value: str) -> None:
    assert len(MissingPriceError(message, value=value).one_line().splitlines()) == 1


def test_one_line_gives_code_message_and_context() -> None:
    assert MissingPriceError("no mark", venue="okx", row=3).one_line() == "DATA-005: no mark [venue=okx row=3]"
    assert MissingPriceError("no mark").one_line() == "DATA-005: no mark"


def test_precedence_is_total_and_worst_first() -> None:
    ordered = sorted(ErrorCode, key=precedence)
    assert len({precedence(code) for code in ErrorCode}) == len(ErrorCode)
    assert REGISTRY[ordered[0]].severity is Severity.CRITICAL
    assert ordered.index(ErrorCode.DATA_PRICE_MISSING) < ordered.index(ErrorCode.EXEC_ORDER_FAILED)


def test_the_page_of_the_codes_is_the_generated_one() -> None:
    assert PAGE.read_text(encoding="utf-8") == render_errors_markdown()


@pytest.mark.parametrize("code", list(ErrorCode))
def test_the_page_names_every_code(code: ErrorCode) -> None:
    assert f"| {code.value} | {REGISTRY[code].severity.value} |" in render_errors_markdown()
