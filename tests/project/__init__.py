"""A Django app with the tasks that the tests enqueue."""
