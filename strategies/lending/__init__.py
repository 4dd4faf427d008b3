"""Supplying to a lending pool: the rules."""
