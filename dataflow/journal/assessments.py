"""Events of what balances are worth and what they risk: exposure, risk and P&L."""

from dataflow.journal.component_logs import ComponentLogs
from dataflow.journal.event_fields import RISK_FIELDS, RISK_LEVELS, Columns, exposure_columns
from dataflow.journal.interim import Valued
from dataflow.journal.run_facts import RunFacts
from dataflow.journal.sequencer import Sequencer
from schemas.models.events import ExposureSnapshot, PnLCalculation, RiskAssessment


class AssessmentEvents:
    """Records exposure, risk and P&L."""

    def __init__(self, sequencer: Sequencer, components: ComponentLogs, facts: RunFacts) -> None:
        self._sequencer, self._components, self._facts = sequencer, components, facts

    def exposure_and_risk(self, timestamp: str, columns: Columns) -> None:
        """Exposure and risk of a one-row set of columns."""
        self._exposure_and_risk(timestamp, self._sequencer.take(2), columns, 0)

    def exposure_and_risk_of(self, timestamp: str, books: Valued) -> None:
        """Exposure and risk of balances inside a decision, once they are valued."""
        order = self._sequencer.take(2)
        self._sequencer.keep_when_valued(lambda: self._exposure_and_risk(timestamp, order, books.columns, books.row))

    def _exposure_and_risk(self, timestamp: str, order: int, columns: Columns, row: int) -> None:
        assets = exposure_columns(columns, self._facts.assets)
        equity_usd = float(columns["equity_usd"][row])
        self._sequencer.keep(
            ExposureSnapshot,
            timestamp,
            order,
            net_delta_usd=float(columns["net_delta_usd"][row]),
            asset_exposures={
                asset: {name: float(column[row]) for name, column in fields.items()} for asset, fields in assets.items()
            },
            total_value_usd=equity_usd,
            share_class_value=float(columns["equity_share_class"][row]),
        )
        warnings, breaches = self._facts.limits.notes(columns, row)
        self._components.info("ExposureMonitor", "exposure calculated", timestamp, equity_usd=equity_usd)
        self._components.info(
            "RiskMonitor", "risk assessed", timestamp, warnings=list(warnings), breaches=list(breaches)
        )
        self._sequencer.keep(
            RiskAssessment,
            timestamp,
            order + 1,
            **{name: float(columns[node][row]) for name, node in RISK_FIELDS.items()},
            risk_level=RISK_LEVELS[int(columns["risk_level"][row])],
            breach_detected=bool(breaches),
            warnings=warnings,
            breaches=breaches,
        )

    def pnl(self, timestamp: str, columns: Columns) -> None:
        """P&L of a one-row set of columns."""
        self._components.info(
            "PnLMonitor", "P&L calculated", timestamp, total_pnl_usd=float(columns["total_pnl_usd"][0])
        )
        self._sequencer.emit(
            PnLCalculation,
            timestamp,
            total_pnl_usd=float(columns["total_pnl_usd"][0]),
            total_pnl_share_class=float(columns["total_pnl_share_class"][0]),
            pnl_attribution={name: float(columns[name][0]) for name in self._facts.attribution_types},
            period_start=self._facts.run_start,
            period_end=timestamp,
            unexplained_pnl=float(columns["unexplained_pnl"][0]),
            reconciled=bool(columns["is_reconciled"][0]),
        )
