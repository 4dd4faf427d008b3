"""What a run leaves: results directory, Parquet, summary; and how runs are pruned."""
