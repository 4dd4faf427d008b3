"""Expected deltas: what each of the twelve operations is to change, key by key.

The numbers are those of the specification's table (domain 5.2) and of the user's examples: the Aave index 1.066714 and
the staking ratio 1.03816. Calculators are tested by themselves; the node that chooses among them, prices them and
empties what is all but empty is tested with intents as strategies make them.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow.maths import deltas
from dataflow.maths.costs import CostModel, Slippage
from dataflow.maths.lending import borrow_index, supply_index
from dataflow.nodes.execution import expected_deltas, quote
from schemas.errors import ExpectedDeltaError, MissingPriceError
from schemas.holdings import Holdings
from schemas.intents import OrderIntent, perp_trade, spot_trade, supply, transfer, withdraw
from schemas.operations import OperationType, OrderSide, StrategyIntent
from schemas.snapshot import MarketSnapshot
from tests.support.prices import token_prices

AAVE_INDEX = 1.066714
STAKING_RATIO = 1.03816
INTENT = StrategyIntent.ENTRY_FULL

WALLET_USDT, WALLET_ETH, WALLET_WETH = "wallet:BaseToken:USDT", "wallet:BaseToken:ETH", "wallet:BaseToken:WETH"
A_USDT, A_WETH, DEBT_WETH = "aave:aToken:aUSDT", "aave:aToken:aWETH", "aave:debtToken:debtWETH"
WEETH = "etherfi:LST:weETH"

SNAPSHOT = MarketSnapshot(
    timestamp="2024-05-12T00:00:00",
    prices=token_prices(3_000.0, weETH=STAKING_RATIO, wstETH=1.17),
    gas_unit_usd=0.0,
    base_asset="BTC",
    spot_price={"binance": 60_000.0},
    perp_mark={"binance": 60_010.0},
    liquidity_index={"USDT": AAVE_INDEX, "WETH": AAVE_INDEX},
    variable_borrow_index={"WETH": 1.25},
    lst_oracle_ratio={"weETH": STAKING_RATIO, "wstETH": 1.17},
    lst_market_ratio={"weETH": 1.036},
)

amounts = st.floats(1e-6, 1e9)
indexes = st.floats(1.0, 3.0)


def on_chain(operation: OperationType, venue: str, amount: float, source: str, target: str) -> OrderIntent:
    """An intent of an operation on chain; token names say which balances it moves."""
    return OrderIntent(operation, venue, amount, "wallet", venue, source, target, INTENT)


def changes(intent: OrderIntent, held: dict[str, float]) -> dict[str, float]:
    """What the graph expects of an intent, in a world without slippage."""
    priced = quote(intent, SNAPSHOT, CostModel.free())
    return dict(expected_deltas(intent, priced, Holdings(held, {})))


class TestExpectedDeltasCalculation:
    """The calculators behind ``_calculate_expected_deltas`` of the user's plan."""

    def test_spot_trade_deltas(self) -> None:
        assert deltas.spot_trade_deltas("binance", "BTC", +1, 0.5, 45_000.0) == (
            ("binance:BaseToken:BTC", 0.5),
            ("binance:BaseToken:USDT", -22_500.0),
        )

    def test_spot_sale_negates_both(self) -> None:
        assert deltas.spot_trade_deltas("okx", "ETH", -1, 2.0, 3_000.0) == (
            ("okx:BaseToken:ETH", -2.0),
            ("okx:BaseToken:USDT", 6_000.0),
        )

    def test_perp_trade_deltas_move_the_position_alone(self) -> None:
        assert deltas.perp_trade_deltas("bybit", "BTC", -1, 0.44) == (("bybit:PerpPosition:BTC-PERP", -0.44),)
        assert deltas.perp_trade_deltas("bybit", "BTC", +1, 0.44) == (("bybit:PerpPosition:BTC-PERP", 0.44),)

    def test_supply_deltas_aave(self) -> None:
        """100,000 USDT at index 1.066714 are 93,745.8 scaled units, worth 100,000 now and 101,292 at 1.0805."""
        (key, scaled), debit = deltas.supply_deltas("USDT", 100_000.0, supply_index(AAVE_INDEX), {})
        assert key == A_USDT
        assert scaled == pytest.approx(93_745.8, abs=0.05)
        assert debit == (WALLET_USDT, -100_000.0)
        assert scaled * AAVE_INDEX == pytest.approx(100_000.0, rel=1e-12)
        assert scaled * 1.0805 == pytest.approx(101_292.0, abs=0.5)

    def test_supply_of_an_lst_debits_the_lst(self) -> None:
        assert deltas.supply_deltas("weETH", 4.0, 0.5, {}) == (("aave:aToken:aweETH", 2.0), (WEETH, -4.0))

    def test_withdraw_deltas(self) -> None:
        assert deltas.withdraw_deltas("USDT", 100.0, 0.8, {A_USDT: 90.0}) == ((A_USDT, -80.0), (WALLET_USDT, 100.0))

    def test_full_withdraw_burns_the_held_scaled_balance(self) -> None:
        held = {A_USDT: 93_745.8 + 1e-9}
        burnt = dict(deltas.withdraw_deltas("USDT", 100_000.0, supply_index(AAVE_INDEX), held, closes_all=True))
        assert burnt[A_USDT] == -held[A_USDT]

    def test_borrow_deltas_credit_weth(self) -> None:
        assert deltas.borrow_deltas("WETH", 10.0, borrow_index(1.25)) == ((DEBT_WETH, 8.0), (WALLET_WETH, 10.0))

    def test_repay_deltas_debit_weth_before_eth(self) -> None:
        held = {WALLET_WETH: 4.0, WALLET_ETH: 9.0, DEBT_WETH: 8.0}
        assert deltas.repay_deltas("WETH", 10.0, 0.8, held) == (
            (DEBT_WETH, -8.0),
            (WALLET_WETH, -4.0),
            (WALLET_ETH, -6.0),
        )

    def test_full_repay_burns_the_held_scaled_debt(self) -> None:
        held = {WALLET_WETH: 20.0, DEBT_WETH: 8.000000001}
        assert deltas.repay_deltas("WETH", 10.0, 0.8, held, closes_all=True)[0] == (DEBT_WETH, -8.000000001)

    def test_stake_deltas_eth(self) -> None:
        """The seeds' conversion rate is LST per ETH: 1 / 1.03816 = .96324."""
        minted, debit = deltas.stake_deltas("weETH", 1.0, 1.0 / STAKING_RATIO, {WALLET_ETH: 5.0})
        assert minted[0] == WEETH
        assert minted[1] == pytest.approx(0.96324, abs=1e-5)
        assert debit == (WALLET_ETH, -1.0)

    def test_stake_takes_weth_before_eth(self) -> None:
        assert deltas.stake_deltas("wstETH", 3.0, 0.5, {WALLET_WETH: 1.0, WALLET_ETH: 5.0}) == (
            ("lido:LST:wstETH", 1.5),
            (WALLET_WETH, -1.0),
            (WALLET_ETH, -2.0),
        )

    def test_unstake_credits_a_claim_at_the_protocol(self) -> None:
        burnt, claim = deltas.unstake_deltas("weETH", 1.0, 1.0 / STAKING_RATIO)
        assert burnt == (WEETH, -1.0)
        assert claim[0] == "etherfi:BaseToken:ETH"
        assert claim[1] == pytest.approx(STAKING_RATIO)

    def test_swap_deltas_of_an_lst_credit_weth(self) -> None:
        assert deltas.swap_deltas("weETH", "WETH", 2.0, 1.036, {}) == ((WEETH, -2.0), (WALLET_WETH, 2.072))

    def test_swap_deltas_into_an_lst_debit_weth_before_eth(self) -> None:
        held = {WALLET_WETH: 1.0, WALLET_ETH: 9.0}
        *debits, (key, received) = deltas.swap_deltas("WETH", "wstETH", 3.0, 0.85, held)
        assert debits == [(WALLET_WETH, -1.0), (WALLET_ETH, -2.0)]
        assert key == "lido:LST:wstETH"
        assert received == pytest.approx(2.55)

    def test_transfer_deltas(self) -> None:
        assert deltas.transfer_deltas("wallet", "binance", "USDT", 40_000.0, {}) == (
            (WALLET_USDT, -40_000.0),
            ("binance:BaseToken:USDT", 40_000.0),
        )
        assert deltas.transfer_deltas("binance", "okx", "USDT", 5.0, {}) == (
            ("binance:BaseToken:USDT", -5.0),
            ("okx:BaseToken:USDT", 5.0),
        )

    def test_transfer_to_an_exchange_unwraps_weth(self) -> None:
        assert deltas.transfer_deltas("wallet", "binance", "WETH", 3.0, {WALLET_WETH: 1.0, WALLET_ETH: 9.0}) == (
            (WALLET_WETH, -1.0),
            (WALLET_ETH, -2.0),
            ("binance:BaseToken:ETH", 3.0),
        )

    def test_flash_borrow_deltas(self) -> None:
        assert deltas.flash_borrow_deltas("WETH", 185.7) == ((WALLET_WETH, 185.7),)

    def test_flash_repay_deltas_add_the_fee(self) -> None:
        ((key, repaid),) = deltas.flash_repay_deltas("WETH", 10_000.0, 5.0, {WALLET_WETH: 20_000.0})
        assert key == WALLET_WETH
        assert repaid == pytest.approx(-10_005.0)


class TestWalletDebits:
    """ETH and WETH are one asset with two keys; WETH goes first. [domain] ruling 7."""

    @pytest.mark.parametrize(
        ("held", "expected"),
        [
            pytest.param({WALLET_WETH: 5.0, WALLET_ETH: 5.0}, ((WALLET_WETH, -3.0),), id="enough-weth"),
            pytest.param(
                {WALLET_WETH: 2.0, WALLET_ETH: 5.0}, ((WALLET_WETH, -2.0), (WALLET_ETH, -1.0)), id="some-weth"
            ),
            pytest.param({WALLET_ETH: 5.0}, ((WALLET_ETH, -3.0),), id="no-weth"),
            pytest.param({WALLET_WETH: -1.0, WALLET_ETH: 5.0}, ((WALLET_ETH, -3.0),), id="overdrawn-weth"),
        ],
    )
    def test_weth_is_debited_first(self, held: dict[str, float], expected: deltas.Deltas) -> None:
        assert deltas.wallet_debit("ETH", 3.0, held) == expected
        assert deltas.wallet_debit("WETH", 3.0, held) == expected

    @given(amount=amounts, weth=st.floats(0.0, 1e9))
    def test_the_parts_sum_to_the_amount(self, amount: float, weth: float) -> None:
        parts = deltas.wallet_debit("WETH", amount, {WALLET_WETH: weth})
        assert sum(change for _, change in parts) == pytest.approx(-amount, rel=2e-9)
        assert all(change < 0.0 for _, change in parts)


class TestResidue:
    """A change that would leave no more than 1e-9 of itself takes the whole balance. [domain] ruling 8."""

    @pytest.mark.parametrize("residue", [1e-8, -1e-8])
    def test_a_balance_all_but_emptied_is_emptied(self, residue: float) -> None:
        held = {WALLET_USDT: 100.0 + residue}
        (_, change), *_ = deltas.snapped(((WALLET_USDT, -100.0),), held)
        assert held[WALLET_USDT] + change == 0.0

    def test_what_is_more_than_residue_stays(self) -> None:
        assert deltas.snapped(((WALLET_USDT, -100.0),), {WALLET_USDT: 100.001}) == ((WALLET_USDT, -100.0),)

    def test_a_short_bought_back_leaves_nothing(self) -> None:
        held = {"okx:PerpPosition:BTC-PERP": -0.3}
        (_, change), *_ = deltas.snapped((("okx:PerpPosition:BTC-PERP", 0.1 + 0.2),), held)
        assert held["okx:PerpPosition:BTC-PERP"] + change == 0.0

    @given(held=amounts, change=st.floats(-1e9, 1e9))
    def test_snapping_moves_a_change_by_no_more_than_residue(self, held: float, change: float) -> None:
        ((_, snapped),) = deltas.snapped((("k", change),), {"k": held})
        assert abs(snapped - change) <= deltas.RESIDUE * abs(change)


@given(amount=amounts, index=indexes)
def test_supply_then_withdraw_is_the_identity(amount: float, index: float) -> None:
    (_, minted), (_, paid) = deltas.supply_deltas("USDT", amount, supply_index(index), {})
    (_, burnt), (_, credited) = deltas.withdraw_deltas("USDT", amount, supply_index(index), {})
    assert minted + burnt == 0.0
    assert paid + credited == 0.0


@given(amount=amounts, index=indexes)
def test_supplying_leaves_equity_where_it_was(amount: float, index: float) -> None:
    (_, minted), (_, paid) = deltas.supply_deltas("USDT", amount, supply_index(index), {})
    assert minted * index + paid == pytest.approx(0.0, abs=1e-12 * amount)


CASES = [
    pytest.param(
        spot_trade("binance", "BTC", OrderSide.BUY, 0.5, INTENT),
        {"binance:BaseToken:BTC": 0.5, "binance:BaseToken:USDT": -30_000.0},
        id="spot_trade",
    ),
    pytest.param(
        perp_trade("binance", "BTC", OrderSide.SHORT, 0.5, INTENT),
        {"binance:PerpPosition:BTC-PERP": -0.5},
        id="perp_trade",
    ),
    pytest.param(
        supply("USDT", 100_000.0, INTENT), {A_USDT: 100_000.0 / AAVE_INDEX, WALLET_USDT: -100_000.0}, id="supply"
    ),
    pytest.param(withdraw("USDT", 10.0, INTENT), {A_USDT: -10.0 / AAVE_INDEX, WALLET_USDT: 10.0}, id="withdraw"),
    pytest.param(
        on_chain(OperationType.BORROW, "aave_v3", 10.0, "debtWETH", "WETH"),
        {DEBT_WETH: 8.0, WALLET_WETH: 10.0},
        id="borrow",
    ),
    pytest.param(
        on_chain(OperationType.REPAY, "aave_v3", 10.0, "WETH", "debtWETH"),
        {DEBT_WETH: -8.0, WALLET_ETH: -10.0},
        id="repay",
    ),
    pytest.param(
        on_chain(OperationType.STAKE, "etherfi", 10.0, "ETH", "weETH"),
        {WEETH: 10.0 / STAKING_RATIO, WALLET_ETH: -10.0},
        id="stake",
    ),
    pytest.param(
        on_chain(OperationType.UNSTAKE, "etherfi", 10.0, "weETH", "ETH"),
        {WEETH: -10.0, "etherfi:BaseToken:ETH": 10.0 * STAKING_RATIO},
        id="unstake",
    ),
    pytest.param(
        on_chain(OperationType.SWAP, "uniswap", 10.0, "weETH", "WETH"), {WEETH: -10.0, WALLET_WETH: 10.36}, id="swap"
    ),
    pytest.param(
        transfer("wallet", "binance", "USDT", 5.0, INTENT),
        {WALLET_USDT: -5.0, "binance:BaseToken:USDT": 5.0},
        id="transfer",
    ),
    pytest.param(
        on_chain(OperationType.FLASH_BORROW, "morpho", 7.0, "WETH", "WETH"), {WALLET_WETH: 7.0}, id="flash_borrow"
    ),
    pytest.param(
        on_chain(OperationType.FLASH_REPAY, "morpho", 7.0, "WETH", "WETH"), {WALLET_ETH: -7.0}, id="flash_repay"
    ),
]

HELD = {
    WALLET_USDT: 250_000.0,
    WALLET_ETH: 100.0,
    WALLET_WETH: 0.0,
    A_USDT: 500.0,
    A_WETH: 50.0,
    DEBT_WETH: 30.0,
    WEETH: 40.0,
    "etherfi:BaseToken:ETH": 0.0,
    "binance:BaseToken:USDT": 90_000.0,
    "binance:BaseToken:BTC": 2.0,
    "binance:PerpPosition:BTC-PERP": 0.0,
}


@pytest.mark.parametrize(("intent", "expected"), CASES)
def test_the_node_gives_the_changes_of_every_operation(intent: OrderIntent, expected: dict[str, float]) -> None:
    assert changes(intent, HELD) == pytest.approx(expected, rel=1e-12)


def test_every_operation_has_a_case() -> None:
    assert {case.id for case in CASES} == {operation.value for operation in OperationType}


def test_full_withdraw_through_the_node_leaves_nothing() -> None:
    held = {A_USDT: 123.456_789, WALLET_USDT: 0.0}
    intent = withdraw("USDT", 123.456_789 * AAVE_INDEX, StrategyIntent.EXIT_FULL, closes_all=True)
    assert held[A_USDT] + changes(intent, held)[A_USDT] == 0.0


def test_slippage_is_in_the_expected_changes() -> None:
    costs = CostModel(
        taker_fee={("spot", "binance"): 0.001},
        slippage_by_pair={("spot", "binance", "BTCUSDT"): Slippage((5.0, 7.0, 13.0), (50_000.0, 500_000.0))},
        gas_units={},
        gas_charged=False,
    )
    intent = spot_trade("binance", "BTC", OrderSide.BUY, 0.5, INTENT)
    priced = quote(intent, SNAPSHOT, costs)
    assert priced.executed_price == pytest.approx(60_000.0 * 1.0005)
    assert dict(expected_deltas(intent, priced, Holdings(HELD, {})))["binance:BaseToken:USDT"] == pytest.approx(
        -30_015.0
    ), "slippage is in the price, the fee is not"


def test_supply_quote_gives_both_indexes() -> None:
    details = quote(supply("USDT", 1.0, INTENT), SNAPSHOT, CostModel.free()).details
    assert details["aave_supply_index"] == pytest.approx(1.0 / AAVE_INDEX)
    assert details["aave_liquidity_index"] == AAVE_INDEX


def test_a_missing_index_names_series_and_token() -> None:
    with pytest.raises(MissingPriceError) as caught:
        quote(supply("weETH", 1.0, INTENT), SNAPSHOT, CostModel.free())
    assert caught.value.context["series"] == "liquidity_index"
    assert caught.value.context["label"] == "weETH"


def test_a_full_withdraw_of_what_is_not_subscribed_names_the_key() -> None:
    intent = withdraw("WETH", 1.0, StrategyIntent.EXIT_FULL, closes_all=True)
    with pytest.raises(ExpectedDeltaError) as caught:
        changes(intent, {})
    assert caught.value.context["position_key"] == A_WETH
