"""Faults whose outcome does not depend on the database: they run once. The ids are those of FAULTS.md."""
