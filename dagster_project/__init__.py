"""Orchestration only: the graph of every mode as Dagster assets, a month a partition, run by ``dataflow.services``."""
