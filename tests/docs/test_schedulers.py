"""The page on other packages' schedulers: its function that enqueues its own next run does so, once."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from bgtasks.compat.tasks import tasks
from bgtasks.models import CompletedTask, Task
from tests.docs.pages import ROOT, blocks


@pytest.mark.django_db(transaction=True)
def test_the_function_on_the_page_keeps_exactly_one_next_run(own_registry) -> None:
    (block,) = blocks(ROOT / "docs/schedulers.md", "python")
    page: dict = {"__name__": "page"}
    exec(compile(block.text, str(block), "exec"), page)
    nightly, berlin = page["nightly"], page["BERLIN"]
    nightly.enqueue()
    nightly.enqueue()  # as a retry would run it again
    while tasks.run_next_task():
        pass
    assert CompletedTask.objects.succeeded().count() == 2
    at = Task.objects.get().run_at
    local = (at if timezone.is_aware(at) else timezone.make_aware(at)).astimezone(berlin)
    now = datetime.now(berlin)
    assert (local.hour, local.minute) == (3, 30)
    assert now < local <= now + timedelta(hours=25)
