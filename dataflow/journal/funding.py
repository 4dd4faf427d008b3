"""What funding moved at a row: from columns to the fields of its events."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from dataflow.graph.state import PositionGroups
from dataflow.journal.event_fields import Columns
from dataflow.maths.deltas import Deltas
from schemas.units import Column


def is_funded(columns: Columns, rows: int) -> npt.NDArray[np.int64]:
    """1 on rows where funding moved a balance, else 0.

    Shape:  (rows,).
    """
    if "funding_flow" not in columns:
        return np.zeros(rows, dtype=np.int64)
    moved: npt.NDArray[np.int64] = np.any(columns["funding_flow"] != 0.0, axis=1).astype(np.int64)
    return moved


def funding_deltas(keys: Sequence[str], flows: Sequence[float]) -> Deltas:
    """The balances that funding moved, and by how much, native units; > 0 was received.

    >>> funding_deltas(("binance:Wallet:USDT", "okx:Wallet:USDT"), (0.0, -2.5))
    (('okx:Wallet:USDT', -2.5),)
    """
    return tuple((key, flow) for key, flow in zip(keys, flows, strict=True) if flow != 0.0)


def margin_price_usd(columns: Columns, groups: PositionGroups) -> Column:
    """USD a unit of what funding is paid in: a coin that margins perpetuals is the share class of its mode.

    Shape:  (rows,).
    """
    if "quote" in groups.keys:
        return np.ones(len(columns["equity_usd"]))
    return columns["equity_usd"] / columns["equity_share_class"]
