"""Growth factors of the indexes, in rays. Source: MathUtils.sol of both versions."""

from dataflow.maths.lending.fixed_point import RAY, ray_mul
from dataflow.maths.lending.rules import InterestForm, Rules


def supply_growth(rate: int, seconds: int, rules: Rules) -> int:
    """Growth of the liquidity index: linear between two updates. Source: MathUtils.calculateLinearInterest.

    rate: ray a year. seconds: since the last update, >= 0.
    """
    return _growth(rules.supply_interest, rate, seconds, rules)


def debt_growth(rate: int, seconds: int, rules: Rules) -> int:
    """Growth of the variable borrow index: a series. Source: MathUtils.calculateCompoundedInterest.

    rate: ray a year. seconds: since the last update, >= 0.
    """
    return _growth(rules.debt_interest, rate, seconds, rules)


def _growth(form: InterestForm, rate: int, seconds: int, rules: Rules) -> int:
    if form is InterestForm.LINEAR:
        return RAY + rate * seconds // rules.seconds_per_year
    if form is InterestForm.BINOMIAL:
        return _binomial_growth(rate, seconds, rules)
    return _exponential_growth(rate, seconds, rules)


def _binomial_growth(rate: int, seconds: int, rules: Rules) -> int:
    """Return (1 + r/Y)^t to the third term; the powers of the rate a second are truncated before use."""
    year = rules.seconds_per_year
    square = ray_mul(rate, rate) // (year * year)
    cube = ray_mul(square, rate) // year
    pairs = seconds * max(seconds - 1, 0)
    terms = (
        rate * seconds // year,
        pairs * square // 2,
        pairs * max(seconds - 2, 0) * cube // 6,
    )
    return RAY + sum(terms[: rules.series_terms])


def _exponential_growth(rate: int, seconds: int, rules: Rules) -> int:
    """Return exp(r t / Y) to the third power, nested as the contract does it."""
    exponent = rate * seconds // rules.seconds_per_year
    cubic = ray_mul(exponent, exponent // 6) if rules.series_terms >= 3 else 0
    square = ray_mul(exponent, exponent // 2 + cubic) if rules.series_terms >= 2 else 0
    return RAY + exponent + square
