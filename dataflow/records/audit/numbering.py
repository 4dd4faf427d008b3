"""The numbers of the events of a log: 0, 1, 2 ... over all files, ascending within each (domain ruling 28)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from dataflow.records.log.log_fault import LogFault
from dataflow.records.log.reading import read_events
from schemas.models.events import EVENT_TYPES, DomainEvent


@dataclass(frozen=True, slots=True)
class Numbering:
    """The numbers of all events of a log, and what is wrong with them."""

    orders: npt.NDArray[np.int64]
    """Ascending."""
    last_order: int
    """The last one before the first that is missing."""
    missing: tuple[str, int] | None
    """File and ``order`` of the event that stands where another is missing."""
    faults: tuple[LogFault, ...]

    @classmethod
    def of(cls, path: Path | str, first_order: int) -> Self:
        """Read the numbers of every file."""
        by_file = {kind.file_name: np.fromiter(_orders(path, kind), np.int64) for kind in EVENT_TYPES}
        faults = []
        for file, of_file in by_file.items():
            late = np.flatnonzero(of_file[1:] <= of_file[:-1])
            if late.size:
                order, before = int(of_file[late[0] + 1]), int(of_file[late[0]])
                faults.append(LogFault(file, order, None, f"stands after order {before}"))
        orders = np.sort(np.concatenate(list(by_file.values())))
        is_strange = orders < first_order
        is_strange[1:] |= orders[1:] == orders[:-1]
        for order in orders[is_strange][:1].tolist():
            what = f"order {order} comes twice or before {first_order}"
            faults.append(LogFault(_owner(by_file, order), order, None, what))
        distinct = np.unique(orders[orders >= first_order])
        gaps = np.flatnonzero(distinct != np.arange(first_order, first_order + len(distinct)))
        if gaps.size == 0:
            return cls(orders, first_order + len(distinct) - 1, None, tuple(faults))
        found = int(distinct[gaps[0]])
        return cls(orders, first_order + int(gaps[0]) - 1, (_owner(by_file, found), found), tuple(faults))

    def after(self, order: int) -> int:
        """How many events come after one."""
        return int(np.count_nonzero(self.orders > order))

    def missing_fault(self, complete_through: int) -> Iterator[LogFault]:
        """What to say of the first number that is missing."""
        if self.missing is not None:
            file, found = self.missing
            what = (
                f"order {self.last_order + 1} is missing; the positions are those after order {complete_through}, "
                f"{self.after(complete_through)} later events are left out"
            )
            yield LogFault(file, found, None, what)


def _owner(by_file: Mapping[str, npt.NDArray[np.int64]], order: int) -> str:
    """The last file that holds an event of this number."""
    return [file for file, orders in by_file.items() if order in orders][-1]


def _orders(path: Path | str, event_class: type[DomainEvent]) -> Iterator[int]:
    for record in read_events(path, event_class):
        order = record.get("order")
        yield order if isinstance(order, int) else -1
