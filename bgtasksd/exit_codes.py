"""The exit codes of our processes: those of sysexits.h, where it has one. What clients end with is in `status`."""

EXIT_USAGE = 2
EXIT_SOFTWARE = 70
"""It failed: the program, or the project when it was loaded."""
EXIT_DAMAGED = 71
"""Of a worker that cannot say why it leaves: a task has taken its line to the supervisor."""
EXIT_RUNNING = 73
"""The instance runs already."""
EXIT_CONFIGURATION = 78
