"""What happened, numbered in one order and told to the records."""
