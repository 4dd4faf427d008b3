"""State changes that no order causes: funding, rewards, claims, capital flows."""
