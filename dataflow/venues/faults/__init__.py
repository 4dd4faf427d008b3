"""Faults on purpose: a port around any port that rejects, delays, loses and falsifies by a seeded plan."""
