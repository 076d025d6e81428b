"""Lifecycle tests, and the Django app with the tasks that they and the fault tests run."""
