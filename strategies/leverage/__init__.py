"""Staking with leverage: the rules, and the orders they ask for."""
