"""Other queues, one file each. A file is read here for its `PEER`, and runs in the peer's own environment.

So nothing but the standard library is imported at the top of these files. The product never imports any of them.
"""

NAMES = (
    *("bgtasks", "pgqueuer", "procrastinate", "django_ox", "django_tasks_db", "dj_queue", "steady_queue", "django_q2"),
    "celery",
)
