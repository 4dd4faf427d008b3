"""Proofs over what a run left: replay, verification, traces, comparisons, laws."""
