"""The pages of ``docs/reference/`` that are generated from the code; a test refuses drift."""

from collections.abc import Iterator

from schemas.errors import REGISTRY, ErrorCode, ErrorSpec, PlatformError, Severity, precedence

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
        cells = (spec.code.value, spec.severity.value, str(ranks[spec.code]), retry, spec.meaning, spec.action, name)
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
