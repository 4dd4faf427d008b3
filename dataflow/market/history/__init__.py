"""Data sets of files: read, aligned, checked, as columns on the run's clock."""
