"""What a run costs here, against other ways to run the same graph: `python -m benchmarks`."""
