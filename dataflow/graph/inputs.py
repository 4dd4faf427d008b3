"""From a run's configuration to the inputs of its graph: axes, thresholds, costs, position groups."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from dataflow.graph.prices import PriceSources
from dataflow.graph.state import GROUPS, PositionGroups
from dataflow.maths.costs import CostModel, Product, Slippage
from dataflow.maths.lending.accounts import EModeCategory, liquidation_bonus_of
from dataflow.maths.lending.fixed_point import WAD
from dataflow.maths.lending.rules import BASE_CURRENCY_UNIT, VERSIONS, Rules
from dataflow.maths.leverage import LoopTerms, unwind_rounds
from dataflow.venues.simulated.pool import LendingTerms, basis_points, reserve_terms
from schemas.instruments import DUST_TOKENS, LST_VENUES, PositionKey, PositionType, asset_of
from schemas.models.config import RunConfig
from schemas.models.config_venues import SlippageTable, VenueConfig
from schemas.operations import OperationType
from schemas.trade_rules import TradeRuleBook, TradeRules
from schemas.units import BPS, SECONDS_PER_HOUR, to_wei
from strategies.rules import ModeSpec

_LOOP_IN, _LOOP_OUT = ("borrow", "stake", "supply"), ("withdraw", "swap", "repay")
_LOOP_EXIT_COST = 0.005
"""Share of the value that a sale on the way out may lose, for counting the rounds whose gas is kept in reserve."""
_WAD_DECIMALS = 18


@dataclass(frozen=True)
class Parameters:
    """What a graph needs beside market and state.

    inputs: graph input to value. axes: axis name to labels. groups: position keys by kind of balance.
    largest_trade_usd: exchange to the value of the largest order that it takes. trade_rules: lots and least sizes.
    """

    inputs: Mapping[str, object]
    axes: Mapping[str, tuple[str, ...]]
    groups: PositionGroups
    costs: CostModel
    largest_trade_usd: Mapping[str, float]
    trade_rules: TradeRuleBook


def trade_rule_book(config: RunConfig) -> TradeRuleBook:
    """Lots and least sizes of the run's exchanges, where the scenario switches them on.

    Both products of a pair get the coarser lot, so that a coin and its perpetual can be traded in the same amount.
    """
    rules: dict[tuple[OperationType, str, str], TradeRules] = {}
    for name, venue in config.venues.items() if config.scenario.trade_rules else ():
        if venue.trade_rules is None:
            continue
        products = {OperationType.SPOT_TRADE: venue.trade_rules.spot, OperationType.PERP_TRADE: venue.trade_rules.perp}
        for operation, pairs in products.items():
            for pair, own in pairs.items():
                both = [listed[pair] for listed in products.values() if pair in listed]
                rules[operation, name, pair] = TradeRules(
                    step=max(each.step for each in both),
                    amount_min=max(each.amount_min for each in both),
                    notional_min=own.notional_min,
                    tick=own.tick,
                )
    return TradeRuleBook(rules)


def cost_model(config: RunConfig) -> CostModel:
    """Fees, slippage and gas of the run's venues, less what the scenario switches off."""
    scenario = config.scenario
    fees: dict[tuple[Product, str], float] = {}
    slippage: dict[tuple[Product, str, str], Slippage] = {}
    gas: dict[str, float] = {}
    liquidation_fee = {
        name: venue.liquidation_fee for name, venue in config.venues.items() if venue.liquidation_fee is not None
    }
    for name, venue in config.venues.items():
        if venue.fees is not None and venue.fees.spot is not None:
            fees["spot", name] = venue.fees.spot.taker
        if venue.fees is not None and venue.fees.perp is not None:
            fees["perp", name] = venue.fees.perp.taker
        if venue.slippage_bps is not None:
            slippage |= _slippage(name, venue.slippage_bps)
        gas |= {item.value: float(units) for item, units in venue.gas_units.items()}
    return CostModel(
        taker_fee=fees if scenario.fees else {},
        slippage_by_pair=slippage if scenario.slippage else {},
        gas_units=gas,
        gas_charged=scenario.gas,
        flash_fee_bps=_flash_fee_bps(config) if scenario.fees else 0.0,
        liquidation_fee=liquidation_fee if scenario.fees else {},
    )


def _slippage(venue: str, table: SlippageTable) -> dict[tuple[Product, str, str], Slippage]:
    """Slippage of every pair of a venue, in the venue's own buckets."""
    products: dict[Product, dict[str, tuple[float, float, float]]] = {
        "spot": table.spot,
        "perp": table.perp,
        "swap": table.swap,
    }
    return {
        (product, venue, pair): Slippage(bucket_bps, table.bucket_bounds_usd)
        for product, pairs in products.items()
        for pair, bucket_bps in pairs.items()
    }


def _flash_fee_bps(config: RunConfig) -> float:
    """Fee of the venue that lends for the length of a transaction: Morpho where the mode has it, else Aave."""
    lender = config.venues.get("morpho") or config.venues.get("aave_v3")
    return 0.0 if lender is None else lender.flash_loan_fee_bps or 0.0


def position_groups(config: RunConfig) -> PositionGroups:
    """The subscribed keys by kind of balance."""
    parsed = [PositionKey.parse(text) for text in config.position_keys]
    base = config.base_asset
    by_type = {
        PositionType.PERP: "perp",
        PositionType.A_TOKEN: "a_token",
        PositionType.DEBT_TOKEN: "debt",
        PositionType.LST: "lst",
    }
    chosen: dict[str, list[str]] = {group: [] for group in GROUPS}
    for key in parsed:
        if key.position_type in by_type:
            chosen[by_type[key.position_type]].append(str(key))
        elif key.token in DUST_TOKENS:
            chosen["dust"].append(str(key))
        elif key.prefix == "wallet":
            chosen["wallet"].append(str(key))
        elif key.prefix in LST_VENUES.values():
            chosen["claim"].append(str(key))
        elif key.token == base:
            chosen["spot"].append(str(key))
        else:
            chosen["quote"].append(str(key))
    return PositionGroups({group: tuple(keys) for group, keys in chosen.items() if keys})


def build_parameters(config: RunConfig, spec: ModeSpec, prices: PriceSources) -> Parameters:
    """All parameters of a mode's graph. prices: from where its tokens have theirs."""
    groups, costs, trade_rules = position_groups(config), cost_model(config), trade_rule_book(config)
    wallet_tokens = tuple(PositionKey.parse(key).token for key in groups.keys.get("wallet", ()))
    dust_tokens = tuple(PositionKey.parse(key).token for key in groups.keys.get("dust", ()))
    assets = (*_assets(config, wallet_tokens), *dust_tokens)
    cash = config.mode.share_class
    axes = {
        "venues": config.cex_venues,
        "tokens": prices.tokens,
        "stable_tokens": prices.stable_tokens,
        "wallet_tokens": wallet_tokens,
        "supplied_tokens": config.supplied_tokens,
        "borrowed_tokens": config.borrowed_tokens,
        "lst_tokens": tuple(PositionKey.parse(key).token for key in groups.keys.get("lst", ())),
        "claim_tokens": tuple(PositionKey.parse(key).token for key in groups.keys.get("claim", ())),
        "dust_tokens": dust_tokens,
        "assets": assets,
    }
    inputs: dict[str, object] = {
        **axes,
        "mode": spec.mode,
        "rules": spec.rules,
        "costs": costs,
        "trade_rules": trade_rules,
        "base_asset": config.base_asset or "",
        "spot_venue": config.spot_venue or "",
        "lst": config.lst or "",
        "supplied_token": config.supplied_token or "",
        "borrowed_token": config.borrowed_token or "",
        "priced": tuple(prices.columns),
        "claim_of": prices.claim_of,
        "share_class": cash,
        "quote_token": config.quote_token,
        "delta_asset": config.mode.strategy_config.delta_tracking_asset,
        "cash_tokens": np.array([float(asset_of(token) == asset_of(cash)) for token in wallet_tokens]),
        "margin_token": config.mode.margin_currency or config.quote_token,
        "hedge_allocation": np.array(list(config.hedge_allocation.values()), dtype=np.float64),
        "row_hours": config.mode.clock_step_seconds / SECONDS_PER_HOUR,
        "entry_only": config.scenario.decisions == "entry_only",
        "pnl_tolerance": config.mode.component_config.pnl_monitor.reconciliation_tolerance,
        **_gas(config, spec, costs),
        **_thresholds(config),
        **_signal_rules(config),
        **_venue_limits(config, costs),
    }
    largest = {name: config.venues[name].max_trade_size_usd for name in config.cex_venues}
    largest_usd = {name: usd for name, usd in largest.items() if usd is not None}
    return Parameters(inputs, axes, groups, costs, largest_usd, trade_rules)


def liquidation_thresholds(config: RunConfig) -> dict[str, float]:
    """Liquidation threshold of each reserve: that of the e-mode for staking tokens of a leveraged mode.

    Source: [domain] 4.4 and ruling 22.
    """
    lending = config.venues.get(config.mode.lending_protocol or "")
    if lending is None:
        return {}
    thresholds = {token: reserve.liquidation_threshold for token, reserve in lending.reserves.items()}
    if config.mode.leverage_enabled and lending.emode is not None:
        thresholds |= dict.fromkeys(LST_VENUES, lending.emode.liquidation_threshold)
    return thresholds


def lending_terms(config: RunConfig) -> LendingTerms:
    """What the simulated lending pool allows: its reserves, and the e-mode category of a leveraged mode.

    Source: [domain] 4.4 and ruling 22.
    """
    lending = config.venues.get(config.mode.lending_protocol or "")
    if lending is None:
        return LendingTerms()
    reserves = {
        token: reserve_terms(
            token,
            ltv=reserve.ltv,
            liquidation_threshold=reserve.liquidation_threshold,
            liquidation_bonus=reserve.liquidation_bonus,
        )
        for token, reserve in lending.reserves.items()
    }
    category = None
    if config.mode.leverage_enabled and lending.emode is not None:
        category = EModeCategory(
            ltv_bps=basis_points(lending.emode.ltv),
            liquidation_threshold_bps=basis_points(lending.emode.liquidation_threshold),
            liquidation_bonus_bps=basis_points(1.0 + lending.emode.liquidation_bonus),
            collateral=frozenset(reserves.keys() & LST_VENUES.keys()),
            borrowable=frozenset({"WETH"}),
        )
    return LendingTerms(reserves, category, _rules(lending))


def _rules(lending: VenueConfig) -> Rules:
    """The contracts' rules with the venue's close factor. Source: [domain] ruling 22."""
    rules = VERSIONS[lending.contract_version]
    if lending.close_factor is not None:
        rules = replace(rules, close_factor_bps=basis_points(lending.close_factor))
    if lending.close_factor_full_below_health_factor is not None:
        full_below = to_wei(lending.close_factor_full_below_health_factor, _WAD_DECIMALS)
        rules = replace(rules, close_factor_health=full_below)
    return rules


def _assets(config: RunConfig, wallet_tokens: tuple[str, ...]) -> tuple[str, ...]:
    traded = [config.base_asset] if config.base_asset else []
    held = [asset_of(token) for token in (*config.supplied_tokens, *wallet_tokens)]
    coin_margined = config.base_asset is not None and config.mode.margin_currency == config.base_asset
    quote = [config.quote_token] if config.cex_venues and not coin_margined else []
    return tuple(dict.fromkeys([*traded, *held, *quote]))


def leverage_loop(config: RunConfig) -> LoopTerms | None:
    """Terms of the sequential loop; None where leverage comes from a flash loan.

    On the way out a withdrawal may go as far as the pool lends: the LTV of its e-mode. Source: [domain] 3.2 and 4.4.
    """
    lending = config.venues.get(config.mode.lending_protocol or "")
    if not config.loops_leverage or lending is None or lending.emode is None:
        return None
    return LoopTerms(config.mode.strategy_config.loop_stop_usd, lending.emode.ltv)


def _gas(config: RunConfig, spec: ModeSpec, costs: CostModel) -> dict[str, object]:
    terms, target = leverage_loop(config), config.mode.strategy_config.target_ltv or 0.0
    looped: dict[str, tuple[str, ...]] = {}
    if terms is not None:
        looped["atomic_entry"] = ("stake", "supply")
        looped["atomic_deleverage_one_swap"] = _LOOP_OUT * unwind_rounds(target, terms.ltv_limit, _LOOP_EXIT_COST)

    def units(operations: tuple[str, ...]) -> float:
        items = [item for operation in operations for item in looped.get(operation, (operation,))]
        return sum(costs.gas_units[item] for item in items)

    at_venues = spec.operations_per_venue * len(config.cex_venues)

    multiple = config.mode.strategy_config.gas_reserve_multiple if config.scenario.gas_reserve else 0.0
    return {
        "entry_gas_units": units(spec.entry_operations + at_venues),
        "exit_gas_units": units(spec.exit_operations + at_venues),
        "gas_reserve_multiple": multiple,
        "loop_round_gas_units": units(_LOOP_IN) if terms is not None else 0.0,
        "levered_share": config.mode.stake_allocation_percentage or 1.0,
    }


def _thresholds(config: RunConfig) -> dict[str, object]:
    strategy = config.mode.strategy_config
    limits = config.mode.component_config.risk_monitor.risk_limits
    values: dict[str, object] = {
        "unstakes_by_queue": config.claim is not None,
        "leverage_loop": leverage_loop(config),
        "dust_delta": config.mode.dust_delta,
        "dust_gas_multiple": strategy.dust_gas_multiple,
        "position_deviation_threshold": strategy.position_deviation_threshold,
        "min_trade_usd": _least_trade_usd(config),
        "funding_enter_apr": strategy.funding_enter_apr,
        "funding_leave_apr": strategy.funding_leave_apr,
        "reentry_cooldown_seconds": strategy.reentry_cooldown_hours * SECONDS_PER_HOUR,
        "venue_share_tolerance": strategy.venue_share_tolerance,
        "net_delta_trade": strategy.net_delta_trade,
        "margin_loan_limit": strategy.margin_loan_limit,
        "delta_tolerance": limits.delta_tolerance,
        "health_factor_min": limits.health_factor_min,
        "max_stake_spread_move": limits.max_stake_spread_move or 0.0,
        "max_underlying_move": config.mode.max_underlying_move or 0.0,
        "leverage_max": config.share_class.max_leverage,
        "margin_ratio_of_venue_leverage": _margin_ratio_of_venue_leverage(config),
        "target_ltv": strategy.target_ltv,
        "stake_share": config.mode.stake_allocation_percentage,
        "ltv_drift_tolerance": strategy.ltv_drift_tolerance,
        "ltv_max": limits.liquidation_threshold,
        "max_ltv": config.mode.max_ltv,
    }
    if strategy.margin_levels is not None:
        levels = strategy.margin_levels
        values |= {"margin_warning": levels.warning, "margin_reduce": levels.reduce, "margin_exit": levels.exit}
        values["margin_excess"] = levels.excess
        target = config.mode.margin_ratio_target
        values["margin_target"] = levels.warning if target is None else target
        values["margin_liquidation"] = levels.liquidation if config.scenario.liquidation else -np.inf
    return values


def _margin_ratio_of_venue_leverage(config: RunConfig) -> float:
    """Margin ratio below which a perpetual has more notional over its margin than the strictest exchange allows."""
    allowed = (config.venues[venue].max_leverage for venue in config.cex_venues)
    return max((1.0 / leverage for leverage in allowed if leverage is not None), default=0.0)


def _least_trade_usd(config: RunConfig) -> float:
    """Value at or below which no order of a rebalance is sent: the mode's own, or the largest that a venue asks for."""
    least = (config.venues[name].min_trade_size_usd for name in config.mode.enabled_venues)
    return max([config.mode.strategy_config.min_trade_usd, *(usd for usd in least if usd is not None)])


def _signal_rules(config: RunConfig) -> dict[str, object]:
    """How predictions become positions; {} for modes without."""
    rules = config.mode.ml_config
    if rules is None:
        return {}
    return {
        "signal_threshold": rules.signal_threshold,
        "max_position_size": rules.max_position_size,
        "stop_loss_sd": rules.stop_loss_sd,
        "take_profit_sd": rules.take_profit_sd,
        "sd_floor": rules.sd_floor_bps * BPS,
        "sd_cap": rules.sd_cap_bps * BPS,
    }


def _venue_limits(config: RunConfig, costs: CostModel) -> dict[str, object]:
    thresholds = [liquidation_thresholds(config)[token] for token in config.supplied_tokens]
    factors = [config.venues[venue].collateral_factor for venue in config.cex_venues]
    rates = [config.venues[venue].maintenance_margin_rate or 0.0 for venue in config.cex_venues]
    fees = [costs.forced_close_fee(venue) for venue in config.cex_venues]
    return {
        "reserve_liquidation_threshold": np.array(thresholds, dtype=np.float64),
        "collateral_factor": np.array(factors, dtype=np.float64),
        "maintenance_margin_rate": np.array(rates, dtype=np.float64),
        "forced_close_fee": np.array(fees, dtype=np.float64),
        **_loan_liquidation(config),
    }


def _loan_liquidation(config: RunConfig) -> dict[str, object]:
    """How a loan of the mode is liquidated; {} for modes without one.

    Source: [domain] 4.4 and ruling 22.
    """
    terms = lending_terms(config)
    token, rules = config.supplied_token, terms.rules
    if token is None or config.borrowed_token is None:
        return {}
    bonus_bps = liquidation_bonus_of(terms.reserves[token], terms.category)
    return {
        "health_factor_liquidation": 1.0 if config.scenario.liquidation else 0.0,
        "liquidation_bonus": bonus_bps * BPS - 1.0,
        "close_factor": rules.close_factor_bps * BPS,
        "close_factor_health": rules.close_factor_health / WAD,
        "small_position_usd": rules.small_position / BASE_CURRENCY_UNIT if rules.burns_bad_debt else 0.0,
        "burns_bad_debt": rules.burns_bad_debt,
    }
