"""Management commands: the front ends of bgtasks that need Django."""
