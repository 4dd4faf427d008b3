"""Lending terms for tests: reserves of which nothing matters but how much may be owed on them."""

from dataflow.venues.simulated.pool import LendingTerms, reserve_terms

_LTV_BELOW_THRESHOLD = 0.02


def lending_terms(**thresholds: float) -> LendingTerms:
    """Reserves by token with these liquidation thresholds, fractions of one, and WETH to be borrowed."""
    by_token = {"WETH": 0.83, **thresholds}
    return LendingTerms(
        {
            token: reserve_terms(
                token, ltv=threshold - _LTV_BELOW_THRESHOLD, liquidation_threshold=threshold, liquidation_bonus=0.05
            )
            for token, threshold in by_token.items()
        }
    )
