"""Who may run a task, and until when. `claims` is the only door; the engines behind it hold the SQL."""
