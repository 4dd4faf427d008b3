"""Pandera frames, one a stage: every node's column, its unit and its bounds."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import pandera.pandas as pa

from schemas.errors import (
    DataValidationError,
    DecisionFrameError,
    ExpectedDeltaError,
    ExposureFrameError,
    HandshakeInvalidError,
    PlatformError,
    PnlFrameError,
    PositionMismatchError,
    PositionsFrameError,
    RiskFrameError,
)
from schemas.frames.decision import DecisionFrame
from schemas.frames.execution import DeltasFrame, HandshakesFrame, ReconciliationsFrame
from schemas.frames.exposure import ExposureFrame
from schemas.frames.market import MarketFrame
from schemas.frames.pnl import PnlFrame
from schemas.frames.positions import PositionsFrame
from schemas.frames.risk import RiskFrame

FRAMES: Final[Mapping[str, type[pa.DataFrameModel]]] = MappingProxyType(
    {
        "market": MarketFrame,
        "positions": PositionsFrame,
        "exposure": ExposureFrame,
        "risk": RiskFrame,
        "pnl": PnlFrame,
        "decision": DecisionFrame,
        "deltas": DeltasFrame,
        "handshakes": HandshakesFrame,
        "reconciliation": ReconciliationsFrame,
    }
)
"""Stage to its frame, in the order of the data."""

FRAME_ERRORS: Final[Mapping[str, type[PlatformError]]] = MappingProxyType(
    {
        "market": DataValidationError,
        "positions": PositionsFrameError,
        "exposure": ExposureFrameError,
        "risk": RiskFrameError,
        "pnl": PnlFrameError,
        "decision": DecisionFrameError,
        "deltas": ExpectedDeltaError,
        "handshakes": HandshakeInvalidError,
        "reconciliation": PositionMismatchError,
    }
)
"""Stage to the error that a fault of its frame is."""
