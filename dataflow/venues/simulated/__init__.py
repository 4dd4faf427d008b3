"""Simulated venues: they fill at the snapshot's prices, with the run's cost model, against books of their own.

They compute what changed on their own, from the order alone, so that comparing it with the expected deltas, and their
balances with the engine's, proves something.
"""
