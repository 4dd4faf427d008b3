"""The pages that are generated from the code, ``docs/reference/`` and ``docs/venues.md``; a test refuses drift."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

from dataflow.config.files import load_catalogue
from dataflow.venues.capabilities import Feature, simulated_capabilities
from dataflow.venues.conformance import CASES
from schemas.errors import REGISTRY, ErrorCode, ErrorSpec, PlatformError, Severity, precedence
from schemas.operations import OperationType

_SEVERITIES = {
    Severity.CRITICAL: "the system fails; restart after the cause is settled",
    Severity.HIGH: "a component fails; retried at most 3 times with backoff where the code may be retried",
    Severity.MEDIUM: "degraded; logged, the run continues where it can",
    Severity.LOW: "a warning only",
}

_HEAD = """# Error codes

Generated from `schemas/error_codes.py` by `render_errors_markdown`; do not edit.

A failure is one line: code, message, and the facts as `key=value`. The exit code of `basis` is 1 when a run fails and
2 when the usage or the configuration is wrong. Codes are append only: never renumbered, never reused.

**Precedence.** Of several faults found together the one with the lowest number is reported first: the worst severity,
then the component that a run meets first, then the number of the code.

**Retry** says that the same call may succeed later without a change. A call that moves money is never repeated before
its `operation_id` was looked up at the venue.

**Reserved** codes belong to the registry, but nothing raises them: another code says the same with more precision, or
the component that would raise them is not built. A test holds that every other code is raised by a test.

"""


def _leaves(base: type[PlatformError]) -> Iterator[type[PlatformError]]:
    """Yield the classes below ``base`` that carry a code."""
    for child in base.__subclasses__():
        if "code" in vars(child):
            yield child
        yield from _leaves(child)


def _rows(specs: list[ErrorSpec], names: dict[ErrorCode, str], ranks: dict[ErrorCode, int]) -> Iterator[str]:
    """Yield the lines of one component's table."""
    yield "| Code | Severity | Precedence | Retry | Meaning | What the operator does | Exception |"
    yield "|---|---|---|---|---|---|---|"
    for spec in specs:
        retry = "yes" if spec.is_retryable else "no"
        name = f"`{names[spec.code]}`" if spec.code in names else ""
        meaning = spec.meaning if spec.reserved is None else f"{spec.meaning} *Reserved:* {spec.reserved}."
        cells = (spec.code.value, spec.severity.value, str(ranks[spec.code]), retry, meaning, spec.action, name)
        yield "| " + " | ".join(cells) + " |"


def render_errors_markdown() -> str:
    """Return ``docs/reference/errors.md``: every code, by component."""
    names = {leaf.code: leaf.__name__ for leaf in _leaves(PlatformError) if leaf.__module__ == PlatformError.__module__}
    ranks = {code: rank for rank, code in enumerate(sorted(REGISTRY, key=precedence), start=1)}
    lines = ["| Severity | Means |", "|---|---|"]
    lines += [f"| {severity.value} | {_SEVERITIES[severity]} |" for severity in Severity]
    for area in dict.fromkeys(spec.area for spec in REGISTRY.values()):
        specs = [spec for spec in REGISTRY.values() if spec.area == area]
        lines += ["", f"## {area}: {specs[0].component}", "", *_rows(specs, names, ranks)]
    return _HEAD + "\n".join(lines) + "\n"


_VENUES_HEAD = """# Venues

Generated from `dataflow/venues/capabilities.py` and `dataflow/venues/conformance.py` by `render_venues_markdown`; do
not edit. `python -m dataflow.reference.pages` writes it.

Every venue stands behind one port: an order goes in, a handshake comes out. What a venue can do is declared below. An
order for an operation that its venue does not declare is refused with VEN-001, and a conformance case is skipped only
where a feature that it needs is not declared.

A new venue joins by a bench (`dataflow.venues.conformance.Bench`): a port in a known state, and orders that the venue
can and cannot carry out. The cases are not changed for it. All venues below are simulated.

"""


def _matrix(rows: Iterable[tuple[str, Collection[str]]], venues: Sequence[str], title: str) -> Iterator[str]:
    """Yield a table of what has a mark at which venue."""
    yield f"| {title} | " + " | ".join(venues) + " |"
    yield "|---|" + ":-:|" * len(venues)
    for name, able in rows:
        yield f"| {name} | " + " | ".join("yes" if venue in able else "" for venue in venues) + " |"


def render_venues_markdown() -> str:
    """Return ``docs/venues.md``: operations, features and conformance cases by venue."""
    simulated = simulated_capabilities(load_catalogue())
    venues = list(simulated)
    operations = [
        (f"`{operation}`", [venue for venue in venues if operation in simulated[venue].operations])
        for operation in OperationType
    ]
    features = [
        (feature.value, [venue for venue in venues if feature in simulated[venue].features]) for feature in Feature
    ]
    cases = [(case.number, [venue for venue in venues if not case.missing(simulated[venue])]) for case in CASES]
    lines = ["## Operations", "", *_matrix(operations, venues, "Operation")]
    lines += ["", "## Features", "", *_matrix(features, venues, "Feature"), "", "## Conformance cases", ""]
    lines += ["| Case | Every venue that has what it needs | Needs |", "|---|---|---|"]
    for case in CASES:
        needed = ", ".join(feature.value for feature in Feature if feature in case.needs) or "nothing"
        lines.append(f"| {case.number} | {case.claim} | {needed} |")
    lines += ["", "## Cases by venue", "", "All of these pass (`pytest tests/conformance`).", ""]
    lines += _matrix(cases, venues, "Case")
    return _VENUES_HEAD + "\n".join(lines) + "\n"


if __name__ == "__main__":
    _ROOT = Path(__file__).resolve().parents[2] / "docs"
    (_ROOT / "venues.md").write_text(render_venues_markdown(), encoding="utf-8")
    (_ROOT / "reference" / "errors.md").write_text(render_errors_markdown(), encoding="utf-8")
