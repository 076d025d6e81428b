"""The tests: unit tests mirror the packages; contract, lifecycle and fault tests use real databases and processes."""
