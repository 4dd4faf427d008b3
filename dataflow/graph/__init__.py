"""A mode's graph: built, given its inputs, run, checked against its frames."""
