"""The rim: configuration files, the command line, and the one function that runs a backtest."""
