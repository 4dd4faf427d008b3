"""Benchmarks: ratios against hand-written references measured in the same process; ``make bench`` prints them."""
