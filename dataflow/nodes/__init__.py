"""Hamilton nodes, one module a stage, in the order market, positions, exposure, risk, pnl, decision, execution."""
