"""What data may be: keys, operations, errors, units, frames and messages."""
