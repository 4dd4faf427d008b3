"""Books that the operations of a decision lead to, and what each is worth.

Nothing in a decision depends on these values; they are for the record. So they are worked out together, a row each,
when the decision is over: one look at the graph in place of one an operation.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from dataflow.journal.event_fields import Columns
from schemas.holdings import Holdings


@dataclass(slots=True)
class Valued:
    """Balances, and the row of the columns that values them; no columns until their decision is over."""

    holdings: Holdings
    columns: Columns = field(default_factory=dict)
    row: int = 0

    @property
    def equity_usd(self) -> float:
        """Equity of the books, USD."""
        return float(self.columns["equity_usd"][self.row])


class PassedBooks:
    """The books of one decision, in the order in which its operations led to them."""

    def __init__(self) -> None:
        self._passed: list[Valued] = []

    def led_to(self, holdings: Holdings) -> Valued:
        """Take down what is held now; the same as before is not taken twice."""
        if not self._passed or self._passed[-1].holdings != holdings:
            self._passed.append(Valued(holdings))
        return self._passed[-1]

    @property
    def holdings(self) -> Sequence[Holdings]:
        """The balances to value, a row each."""
        return [books.holdings for books in self._passed]

    def value(self, columns: Columns) -> None:
        """Say what the books are worth: columns of which each row is one of ``holdings``."""
        for row, books in enumerate(self._passed):
            books.columns, books.row = columns, row
