"""Perpetuals that follow a prediction: the rules, and the orders they ask for."""
