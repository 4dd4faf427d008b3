"""What a run leaves behind: its summary and its manifest (architecture, sections 6 and 8).

Numbers are finite; null says that one does not apply (no debt, no perpetuals, fewer than 30 days). Amounts are in the
share class unless the name says usd; ratios are fractions of one.
"""

from enum import StrEnum
from typing import Literal

from pydantic import Field

from schemas.errors import ErrorCode
from schemas.models.message import (
    Count,
    Flag,
    InstantText,
    Message,
    NonNegativeNumber,
    Number,
    PositiveNumber,
    Text,
)
from schemas.operations import DecisionType

EventDetail = Literal["every-step", "on-change", "operations"]
"""How much an event log says of rows without a decision: all; what changed; nothing but settlements and errors."""


class RunStatus(StrEnum):
    """State of a run's directory; ``crashed`` is found afterwards, on one that nobody closed."""

    RUNNING = "running"
    COMPLETE = "complete"
    FAILED = "failed"
    CRASHED = "crashed"


class BreakKind(StrEnum):
    """What can go wrong in a run that goes on."""

    RISK_BREACH = "risk_breach"
    LIQUIDATION = "liquidation"
    OPERATION_FAILED = "operation_failed"
    ERROR = "error"


class FirstBreak(Message):
    """The first thing that went wrong: from the first row of a shock on where the scenario has shocks."""

    kind: BreakKind
    what: Text = Field(description="The limit, the operation and its venue, the balances, or the error's message")
    at: InstantText
    code: ErrorCode | None = None
    value: Number | None = Field(default=None, description="Of what a limit bounds, as it was then")
    limit: Number | None = Field(default=None, description="The limit that it crossed")

    def sentence(self) -> str:
        """The facts in one line.

        >>> at = "2024-01-02T00:00:00"
        >>> FirstBreak(kind="risk_breach", what="delta_risk", at=at, value=0.01, limit=0.005).sentence()
        'risk_breach delta_risk: 0.01 over its limit 0.005, at 2024-01-02T00:00:00'
        """
        against = ""
        if self.value is not None and self.limit is not None:
            side = "over" if self.value > self.limit else "under"
            against = f": {self.value:.6g} {side} its limit {self.limit:g}"
        code = f" ({self.code.value})" if self.code is not None else ""
        return f"{self.kind.value} {self.what}{code}{against}, at {self.at}"


class RunSummary(Message):
    """The numbers of one backtest: ``summary.json``, and the object of ``basis backtest --json``.

    Signs: ``max_drawdown`` and ``total_fees`` are positive; P&L parts that cost are negative. ``apy_vs_target`` and
    ``drawdown_vs_target`` are achieved minus target.
    """

    run_id: Text
    correlation_id: Text
    mode: Text
    share_class: Text
    data_set: Text
    synthetic: Flag
    stablecoins: tuple[str, ...] = Field(default=(), description="Each with what it was valued at")
    scenarios: tuple[str, ...] = ()
    shocks: tuple[str, ...] = Field(default=(), description="Of the scenarios, each with the instant of its first row")
    seed: Count
    start: InstantText
    end: InstantText
    steps: Count

    initial_capital: PositiveNumber
    final_equity: Number
    deposits: NonNegativeNumber = Field(default=0.0, description="Paid in after the initial capital")
    withdrawals: NonNegativeNumber = Field(default=0.0, description="Paid out")
    withdrawals_pending: NonNegativeNumber = Field(default=0.0, description="Asked for, waiting for cash at the end")
    withdrawals_unpaid: NonNegativeNumber = Field(default=0.0, description="Refused: more than was held")
    total_pnl_share_class: Number
    total_pnl_usd: Number
    total_return: Number = Field(description="Time-weighted, flows removed")
    annualized_return: Number | None = Field(description="On 365.25 days; null where it cannot be computed")
    money_weighted_return: Number | None = Field(
        default=None, description="Yearly internal rate of return of the capital, act/365; null where there is none"
    )
    max_drawdown: NonNegativeNumber
    sharpe_ratio: Number | None = Field(description="Daily returns; null below 30 days or without variance")
    target_apy: Number | None = None
    apy_vs_target: Number | None = None
    target_max_drawdown: NonNegativeNumber | None = None
    drawdown_vs_target: Number | None = None
    pnl_attribution: dict[str, Number]
    unexplained_pnl: Number

    decisions: dict[DecisionType, Count]
    orders: Count
    operations_failed: Count
    reconciliation_failures: Count
    errors_by_code: dict[ErrorCode, Count] = Field(default_factory=dict)
    total_fees: NonNegativeNumber
    open_at_end: Flag = Field(description="Whether positions outside the share class's token are held at the end")

    min_health_factor: NonNegativeNumber | None
    max_ltv: NonNegativeNumber | None
    min_margin_ratio: Number | None
    max_abs_net_delta_fraction: NonNegativeNumber | None
    liquidations: Count
    first_break: FirstBreak | None = None

    event_counts: dict[str, Count]
    warnings: tuple[str, ...] = ()
    log_dir: Text | None
    results_dir: Text | None
    engine_seconds: NonNegativeNumber
    records_seconds: NonNegativeNumber


class Manifest(Message):
    """What a run was made from and how it ended: ``manifest.json``, written at the start and sealed at the end."""

    run_id: Text
    correlation_id: Text
    pid: Count
    status: RunStatus
    mode: Text
    share_class: Text
    scenarios: tuple[str, ...] = ()
    shocks: tuple[str, ...] = ()
    data_set: Text
    synthetic: Flag
    start: InstantText | None = None
    end: InstantText | None = None
    initial_capital: PositiveNumber
    seed: Count
    policy: Text = Field(default="backtest", description="Retries and tolerances: backtest or live")
    fault_plan: Text | None = Field(default=None, description="Plan whose faults were injected; null without one")
    config_digest: Text
    data_digest: Text
    flows_digest: Text | None = Field(default=None, description="SHA-256 of the flows file; null without one")
    code_version: Text
    package_versions: dict[str, str]
    created_at: InstantText
    finished_at: InstantText | None = None
    event_detail: EventDetail = "every-step"
    event_log_seal: Text | None = Field(
        default=None, description="Last value of the hash chain of the event log; stands for each of its bytes"
    )
    file_digests: dict[str, str] = Field(
        default_factory=dict, description="SHA-256 of each file that the run wrote beside this one, by name"
    )
    error_code: ErrorCode | None = None
    error_message: str | None = None


class SeriesSpan(Message):
    """What was read of one series of a data set."""

    first: Text = Field(description="First instant, ISO-8601, UTC")
    last: Text = Field(description="Last instant, ISO-8601, UTC")
    rows: Count


class DataProvenance(Message):
    """Where the market data of a run came from: ``data.json``."""

    name: Text
    path: str
    digest: str = Field(description="SHA-256 over the names and bytes of the files read")
    synthetic: Flag
    fills: dict[str, Count] = Field(description="Filled rows by column.venue=rule, clipped falls by series.column")
    coverage: dict[str, SeriesSpan] = Field(description="By series read")
    warnings: tuple[str, ...] = ()
