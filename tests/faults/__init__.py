"""Fault tests: what FAULTS.md demands, with real processes, signals and databases; the ids are in the names."""
