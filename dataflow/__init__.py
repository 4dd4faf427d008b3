"""The dataflow: nodes, maths, venues, market data, records, engine and application."""
