"""Position keys: one spelling is written, many are read, and no key exists for a balance that cannot.

The minimum universe of domain section 2 is written out, the alias table is a table here too, and parse and format are
inverse for everything that can be parsed.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import InvalidPositionKeyError
from schemas.instruments import (
    PositionKey,
    PositionType,
    VenueKind,
    a_token_key,
    asset_of,
    canonical_key,
    cex_key,
    debt_key,
    lst_key,
    normalise_pair,
    perp_key,
    wallet_key,
)
from tests.support.catalogue import CATALOGUE

UNIVERSE = [
    *(f"wallet:BaseToken:{token}" for token in ("USDT", "ETH", "WETH", "BTC", "EIGEN", "ETHFI", "KING")),
    *(f"{venue}:BaseToken:{token}" for venue in ("binance", "bybit", "okx") for token in ("USDT", "BTC", "ETH")),
    *(f"{venue}:PerpPosition:{base}-PERP" for venue in ("binance", "bybit", "okx") for base in ("BTC", "ETH")),
    *(f"binance:BaseToken:{token}" for token in ("EIGEN", "ETHFI")),
    *(f"aave:aToken:{token}" for token in ("aUSDT", "aWETH", "aweETH")),
    *(f"aave:debtToken:{token}" for token in ("debtUSDT", "debtWETH")),
    "etherfi:LST:weETH",
    "etherfi:BaseToken:ETH",
    "lido:LST:wstETH",
    "lido:LST:stETH",
    "lido:BaseToken:ETH",
]
ALIASES = {
    "aave_v3:aToken:aUSDT": "aave:aToken:aUSDT",
    "aave_v3:debtToken:debtWETH": "aave:debtToken:debtWETH",
    "aave:BaseToken:aUSDT": "aave:aToken:aUSDT",
    "aave:BaseToken:debtWETH": "aave:debtToken:debtWETH",
    "aave:aToken:aETH": "aave:aToken:aWETH",
    "aave:debtToken:debtETH": "aave:debtToken:debtWETH",
    "alchemy:BaseToken:USDT": "wallet:BaseToken:USDT",
    "binance:Perp:BTCUSDT": "binance:PerpPosition:BTC-PERP",
    "binance:Perp:BTC/USDT": "binance:PerpPosition:BTC-PERP",
    "binance:PerpPosition:BTC": "binance:PerpPosition:BTC-PERP",
    "etherfi:BaseToken:weETH": "etherfi:LST:weETH",
    "etherfi:aToken:weETH": "etherfi:LST:weETH",
    "lido:BaseToken:stETH": "lido:LST:stETH",
    "lido:BaseToken:wstETH": "lido:LST:wstETH",
}
REFUSED = [
    pytest.param("", id="empty"),
    pytest.param("USDT", id="one-part"),
    pytest.param("binance:USDT", id="two-parts"),
    pytest.param("binance:BaseToken:USDT:x", id="four-parts"),
    pytest.param("binance::USDT", id="empty-part"),
    pytest.param("kraken:BaseToken:USDT", id="unknown-venue"),
    pytest.param("binance:LendingToken:USDT", id="guessed-type"),
    pytest.param("binance:BaseToken:DOGE", id="unknown-token"),
    pytest.param("binance:basetoken:USDT", id="type-in-lower-case"),
    pytest.param("wallet:PerpPosition:BTC-PERP", id="perpetual-in-a-wallet"),
    pytest.param("binance:aToken:aUSDT", id="deposit-receipt-at-an-exchange"),
    pytest.param("aave:aToken:USDT", id="deposit-without-receipt"),
    pytest.param("etherfi:LST:wstETH", id="staking-token-of-another-protocol"),
    pytest.param("binance:PerpPosition:USDT", id="perpetual-of-the-quote"),
]
keys = st.sampled_from([PositionKey.parse(text) for text in UNIVERSE])


@pytest.mark.parametrize("text", UNIVERSE)
def test_keys_of_the_universe_are_their_own_canonical_spelling(text: str) -> None:
    assert str(CATALOGUE.key(text)) == str(PositionKey.parse(text)) == canonical_key(text) == text


@pytest.mark.parametrize(("alias", "canonical"), ALIASES.items())
def test_old_spellings_are_read_and_normalised(alias: str, canonical: str) -> None:
    assert str(CATALOGUE.key(alias)) == canonical


@pytest.mark.parametrize("text", REFUSED)
def test_other_texts_are_refused_with_the_key_as_context(text: str) -> None:
    with pytest.raises(InvalidPositionKeyError) as caught:
        CATALOGUE.key(text)
    assert caught.value.code == "POS-002"
    assert "position_key" in caught.value.context


@pytest.mark.parametrize(
    ("position_type", "token"),
    [
        (PositionType.A_TOKEN, "USDT"),
        (PositionType.DEBT_TOKEN, "WETH"),
        (PositionType.PERP, "BTC"),
        (PositionType.LST, ""),
    ],
)
def test_a_key_that_is_not_spelt_as_its_type_demands_cannot_be_built(position_type: PositionType, token: str) -> None:
    with pytest.raises(InvalidPositionKeyError):
        PositionKey("aave", position_type, token)


@given(key=keys)
def test_parse_and_format_are_inverse(key: PositionKey) -> None:
    assert PositionKey.parse(str(key)) == key


@given(text=st.text(alphabet=":aABENPSTUbcdehikoprstuw-_", max_size=40))
def test_any_text_is_a_key_or_pos_002(text: str) -> None:
    for read in (PositionKey.parse, CATALOGUE.key):
        try:
            key = read(text)
        except InvalidPositionKeyError:
            continue
        assert read(str(key)) == PositionKey.parse(str(key)) == key


@pytest.mark.parametrize(
    ("key", "venue", "underlying"),
    [
        pytest.param("aave:aToken:aUSDT", "aave_v3", "USDT", id="deposit"),
        pytest.param("aave:aToken:aweETH", "aave_v3", "weETH", id="deposit-of-a-staking-token"),
        pytest.param("aave:debtToken:debtWETH", "aave_v3", "WETH", id="debt"),
        pytest.param("okx:PerpPosition:BTC-PERP", "okx", "BTC", id="perpetual"),
        pytest.param("etherfi:LST:weETH", "etherfi", "weETH", id="staking-token"),
        pytest.param("wallet:BaseToken:USDT", "wallet", "USDT", id="wallet"),
    ],
)
def test_a_key_knows_its_venue_and_underlying(key: str, venue: str, underlying: str) -> None:
    assert (CATALOGUE.venue_of(PositionKey.parse(key)), PositionKey.parse(key).underlying) == (venue, underlying)


@given(key=keys)
def test_the_venue_of_a_key_is_a_known_venue(key: PositionKey) -> None:
    assert CATALOGUE.venue_of(key) in CATALOGUE.venues


def test_builders_give_canonical_keys() -> None:
    assert wallet_key("WETH") == "wallet:BaseToken:WETH"
    assert cex_key("bybit", "USDT") == "bybit:BaseToken:USDT"
    assert perp_key("binance", "BTC") == "binance:PerpPosition:BTC-PERP"
    assert a_token_key("WETH") == "aave:aToken:aWETH"
    assert debt_key("USDT") == "aave:debtToken:debtUSDT"
    assert lst_key("weETH") == "etherfi:LST:weETH"
    assert lst_key("wstETH") == "lido:LST:wstETH"


def test_exchanges_are_the_three_of_the_specification() -> None:
    assert CATALOGUE.venues_of_kind(VenueKind.CEX) == ("binance", "bybit", "okx")
    assert CATALOGUE.venues_of_kind(VenueKind.WALLET) == ("wallet",)


@given(base=st.sampled_from(["BTC", "ETH", "weETH"]), separator=st.sampled_from(["", "/", "-"]))
def test_pairs_normalise_to_one_spelling(base: str, separator: str) -> None:
    assert normalise_pair(f"{base}{separator}USDT") == f"{base}USDT"


@pytest.mark.parametrize(("token", "asset"), [("WETH", "ETH"), ("weETH", "ETH"), ("BTC", "BTC"), ("USDT", "USDT")])
def test_wrapped_and_staked_forms_move_with_their_asset(token: str, asset: str) -> None:
    assert CATALOGUE.asset_of(token) == asset_of(token) == asset
