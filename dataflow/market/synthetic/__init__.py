"""The embedded data set and random markets, generated from a seed."""
