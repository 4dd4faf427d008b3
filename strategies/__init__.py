"""The strategies: one module a mode and what they share."""
