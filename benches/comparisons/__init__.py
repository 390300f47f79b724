"""Other services that do the same job, for comparison."""
