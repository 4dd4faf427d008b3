"""What a person types: parsing and printing, nothing else."""
