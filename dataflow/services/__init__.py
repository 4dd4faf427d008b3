"""What can be asked for: one function a service, called by the command line, Dagster and whatever door comes next."""
