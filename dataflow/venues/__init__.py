"""Venues: the port every venue answers through, and the simulated exchange, lending pool and wallet."""
