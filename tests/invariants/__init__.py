"""Checks of the invariants I1 to I8 of a daemon under faults; each returns sentences about what is broken."""
