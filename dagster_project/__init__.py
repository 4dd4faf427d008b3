"""Orchestration only: the graph of every mode as Dagster assets, a month a partition, worked by ``dataflow.app``."""
