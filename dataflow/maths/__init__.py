"""Pure functions of the domain: lending, perpetuals, costs, returns."""
