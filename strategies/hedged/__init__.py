"""Staked ETH hedged with perpetuals: the rules, and the orders they ask for."""
