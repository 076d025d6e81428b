"""Which ready tasks a claim takes, in which order: a file per vendor that needs more than a clause of its statement."""
