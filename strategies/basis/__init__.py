"""Long spot and short perpetual: the rules, and the orders they ask for."""
