"""The soak: minutes of random faults under load, and then the invariants. `python -m tests.soak --help`."""
