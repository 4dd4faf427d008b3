"""What YAML says: files, lines, overrides, spellings, and the one configuration of a run."""
