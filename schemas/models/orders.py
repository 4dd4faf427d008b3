"""Orders and the changes they are expected to cause (domain specification, 5.1 and 5.2).

An order says one thing to one venue. Old spellings (``token``, ``token_in``, ``token_out``, expected deltas as
``{key: amount}``) are folded on input and never stored.
"""

from collections.abc import Mapping
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Final, Self

from pydantic import Field, ValidationError, model_validator

from schemas.errors import InvalidPositionKeyError, OrderFormatError, OrderValidationError
from schemas.instruments import PositionKey, VenueKind, cex_key, wallet_key
from schemas.models.message import (
    Count,
    Details,
    Message,
    NonNegativeNumber,
    Number,
    PairText,
    PositiveNumber,
    RawMessage,
    Text,
    UnitNumber,
    VenueId,
    describe_faults,
    is_format_fault,
    validate_raw,
)
from schemas.operations import (
    CEX_TRADES,
    DEFI_OPERATIONS,
    FLASH_OPERATIONS,
    ExecutionMode,
    OperationType,
    OrderSide,
    OrderType,
    StrategyIntent,
)

if TYPE_CHECKING:
    from schemas.models.catalogue import Catalogue


@lru_cache(maxsize=1024)
def _fields_of_key(text: str) -> Mapping[str, str]:
    key = PositionKey.parse(text)
    return {"position_key": str(key), "token": key.token, "venue": key.venue}


class PositionDelta(Message):
    """The change of one balance.

    ``delta_amount`` is in the unit of the key (scaled units for aTokens and debt), > 0 where the balance grows.
    ``token`` and ``venue`` are those of the key; they may be left out on input.
    """

    position_key: Text
    delta_amount: Number
    token: Text
    venue: Text

    @model_validator(mode="before")
    @classmethod
    def _read_key(cls, raw: object) -> object:
        """Put the key in canonical spelling and read token and venue from it."""
        if not isinstance(raw, dict) or not isinstance(raw.get("position_key"), str):
            return raw  # Pydantic names the field that is missing or of the wrong type
        try:
            of_key = _fields_of_key(raw["position_key"])
        except InvalidPositionKeyError as error:
            raise ValueError(error.message) from error
        for field in ("token", "venue"):
            if raw.get(field, of_key[field]) != of_key[field]:
                key = of_key["position_key"]
                raise ValueError(f"{field} {raw[field]!r} is not that of position_key {key}: {of_key[field]!r}")
        return {**raw, **of_key}


class ExpectedDelta(PositionDelta):
    """The change of one balance that an order is to cause."""

    operation_type: OperationType

    @classmethod
    def of(cls, position_key: str, delta_amount: float, operation_type: OperationType) -> Self:
        """Build the delta of a key; token and venue are those of the key."""
        return cls.model_validate(
            {"position_key": position_key, "delta_amount": delta_amount, "operation_type": operation_type}
        )


_SYNONYMS: Final = (
    ("token_in", ("source_token",)),
    ("token_out", ("target_token",)),
    ("token", ("source_token", "target_token")),
)
_SYNONYM_NAMES: Final = frozenset(old for old, _ in _SYNONYMS)


def _fold_synonyms(raw: dict[str, object]) -> None:
    """Move the legacy token names of ``raw`` to their fields; a contradiction is a ValueError."""
    for old, fields in _SYNONYMS:
        token = raw.pop(old, None)
        if token is None:
            continue
        for field in fields:
            if raw.get(field) is None:
                raw[field] = token
        if all(raw[field] != token for field in fields):
            raise ValueError(f"{old} {token!r} contradicts {' and '.join(fields)}; leave {old} out")


def _listed_deltas(deltas: object, operation: object) -> object:
    """List the deltas, each with its operation; leave other shapes for Pydantic to refuse."""
    if isinstance(deltas, dict):
        return [
            {"position_key": key, "delta_amount": amount, "operation_type": operation} for key, amount in deltas.items()
        ]
    if isinstance(deltas, list | tuple):
        return [{"operation_type": operation, **delta} if isinstance(delta, dict) else delta for delta in deltas]
    return deltas


class Order(Message):
    """One instruction to one venue, with what it is expected to change.

    ``amount`` is positive, in units of the underlying of ``source_token`` (unstake: LST units); its direction is the
    operation, or the side of a trade. ``price`` is the limit, or the price the strategy expects, quote per base.
    ``operation_id`` is given by the caller: a function of seed and counter in a backtest, uuid4 hex in live.
    """

    operation_id: Text
    operation: OperationType
    venue: VenueId
    amount: PositiveNumber
    source_venue: VenueId
    target_venue: VenueId
    source_token: Text
    target_token: Text
    expected_deltas: tuple[ExpectedDelta, ...]
    operation_details: Details = Field(default_factory=dict)
    pair: PairText | None = None
    side: OrderSide | None = None
    price: PositiveNumber | None = None
    order_type: OrderType = OrderType.MARKET
    execution_mode: ExecutionMode = ExecutionMode.SEQUENTIAL
    atomic_group_id: Text | None = None
    sequence_in_group: Count | None = None
    timestamp_group: Text = "default"
    take_profit: PositiveNumber | None = None
    stop_loss: PositiveNumber | None = None
    ltv_target: UnitNumber | None = None
    slippage_tolerance: UnitNumber | None = None
    flash_fee_bps: NonNegativeNumber | None = None
    gas_cost_type: Text | None = None
    strategy_intent: StrategyIntent | None = None
    strategy_id: Text | None = None
    priority: int = Field(default=0, strict=True)
    metadata: Details = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _fold(cls, raw: object) -> object:
        """Fold legacy spellings into the fields that are stored."""
        if not isinstance(raw, dict):
            return raw
        folded = dict(raw)
        if not _SYNONYM_NAMES.isdisjoint(folded):
            _fold_synonyms(folded)
        if "expected_deltas" in folded:
            folded["expected_deltas"] = _listed_deltas(folded["expected_deltas"], folded.get("operation"))
        return folded

    @model_validator(mode="after")
    def _check(self) -> Self:
        """Check the rules across fields."""
        self._check_trade()
        self._check_group()
        if self.take_profit is not None or self.stop_loss is not None:
            self._check_levels()
        keys = {delta.position_key for delta in self.expected_deltas}
        if len(keys) < len(self.expected_deltas):
            raise ValueError("expected_deltas name a position key twice; give each key once, with the sum")
        if not keys and not (self.atomic_group_id and self.operation in FLASH_OPERATIONS):
            raise ValueError("expected_deltas is empty; say what the order is to change")
        return self

    def _check_trade(self) -> None:
        if self.operation in CEX_TRADES:
            if self.pair is None or self.side is None:
                raise ValueError(f"{self.operation} needs pair and side")
        elif self.pair is not None or self.side is not None:
            raise ValueError(f"pair and side belong to trades, not to {self.operation}")
        if self.order_type is OrderType.LIMIT and self.price is None:
            raise ValueError("a limit order needs a price")

    def _check_group(self) -> None:
        if (self.atomic_group_id is None) != (self.sequence_in_group is None):
            raise ValueError("atomic_group_id and sequence_in_group go together: give both or neither")
        if self.execution_mode is ExecutionMode.ATOMIC and self.atomic_group_id is None:
            raise ValueError("execution_mode atomic needs atomic_group_id and sequence_in_group")

    def _check_levels(self) -> None:
        if self.side is None:
            raise ValueError("take_profit and stop_loss belong to trades")
        levels = [level for level in (self.stop_loss, self.price, self.take_profit) if level is not None]
        if self.side.direction < 0:
            levels.reverse()
        if any(lower >= higher for lower, higher in pairwise(levels)):
            rule = "stop_loss < price < take_profit" if self.side.direction > 0 else "take_profit < price < stop_loss"
            raise ValueError(f"{self.side} needs {rule}, with strict inequalities")

    @property
    def direction(self) -> int:
        """+1 for BUY and LONG, -1 for SELL and SHORT; only trades have one."""
        assert self.side is not None, f"{self.operation} has no side"
        return self.side.direction

    @property
    def signed_amount(self) -> float:
        """Base units that a trade adds to its position: > 0 for BUY and LONG."""
        return self.direction * self.amount

    def is_atomic(self) -> bool:
        """Whether the order is a member of an atomic group."""
        return self.atomic_group_id is not None

    def is_cex_trade(self) -> bool:
        """Whether the order trades spot or a perpetual at an exchange."""
        return self.operation in CEX_TRADES

    def fee_key(self, currency: str) -> str:
        """Key of the balance that pays a fee: that of the exchange for a trade, of the wallet for all else."""
        return cex_key(self.venue, currency) if self.is_cex_trade() else wallet_key(currency)

    def is_defi_operation(self) -> bool:
        """Whether the order is a lending, staking, swap or flash-loan operation on chain."""
        return self.operation in DEFI_OPERATIONS

    def is_wallet_transfer(self) -> bool:
        """Whether the order moves a token into or out of the wallet."""
        return self.operation is OperationType.TRANSFER and "wallet" in (self.source_venue, self.target_venue)

    def get_venue_type(self, catalogue: "Catalogue") -> VenueKind:
        """Kind of the executing venue."""
        return catalogue.venues[self.venue].venue_type


def parse_order(raw: RawMessage) -> Order:
    """Read the order that a mapping or a JSON text spells.

    Raises :class:`OrderFormatError` (EXEC-003) where a field is missing, unknown or of the wrong type, and
    :class:`OrderValidationError` (EXEC-004) where the order can be read but breaks a rule.
    """
    try:
        return validate_raw(Order, raw)
    except ValidationError as error:
        message, context = describe_faults("order", raw, error)
        if is_format_fault(error):
            raise OrderFormatError(message, **context) from error
        raise OrderValidationError(message, **context) from error
