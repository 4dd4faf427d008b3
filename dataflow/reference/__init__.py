"""What the documentation derives: pages, configuration keys, schema gate, graphs."""
