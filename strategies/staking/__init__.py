"""Staking and holding: the rules."""
