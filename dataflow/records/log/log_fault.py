"""One thing in an event log that does not hold, and where."""

from dataclasses import dataclass

from schemas.errors import ErrorCode


@dataclass(frozen=True, slots=True)
class LogFault:
    """What is wrong, in which file, and as near to the line as it is known."""

    file: str
    """Name of the file: of the part, where the line is known."""
    order: int | None
    """Of the event."""
    key: str | None
    """Position key or operation id."""
    what: str
    line: int | None = None
    """Counted from 1 within the file; of a missing line, where it should stand."""
    code: ErrorCode = ErrorCode.POS_RECONCILIATION_MISMATCH

    def __str__(self) -> str:
        line = "" if self.line is None else f" line {self.line}"
        order = "" if self.order is None else f" order {self.order}"
        key = "" if self.key is None else f", {self.key}"
        return f"{self.file}{line}{order}{key}: {self.what}"

    def coded(self) -> str:
        """The fault after its code, as the command line prints it."""
        return f"{self.code.value}: {self}"
