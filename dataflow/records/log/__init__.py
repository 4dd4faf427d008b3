"""Files that are appended to while a run goes on, and how they are read back."""
