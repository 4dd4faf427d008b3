"""The clock, the plan, the windows and the loop that turns them into a run."""
