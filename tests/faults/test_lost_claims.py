"""F78 and cancelling: a running task that is no longer this worker's to finish."""

from __future__ import annotations

import pytest

from bgtasks.models import CompletedTask, Status, Task
from bgtasks.queue import claims
from tests.lifecycle import tasks
from tests.waiting import wait_until

pytestmark = pytest.mark.processes


def test_f78_a_task_whose_claim_has_changed_is_interrupted_and_nothing_is_written_for_it(make_daemon):
    daemon = make_daemon(workers=2, LEASE=3).start()
    lost = tasks.hang(1)
    daemon.busy_worker("hang")
    Task.objects.filter(pk=lost.pk).update(claim=12345, locked_by="another:host:1:00000000", attempts=2)
    wait_until(lambda: daemon.ledger("interrupted"), within=20)
    assert daemon.ledger("interrupted")[0]["error"] == "ClaimLost"
    row = Task.objects.get(pk=lost.pk)
    assert (row.status, row.claim, row.attempts) == (Status.RUNNING, 12345, 2)
    Task.objects.filter(pk=lost.pk).delete()

    cancelled = tasks.hang(2)
    wait_until(lambda: len(daemon.ledger("started")) == 2, within=20)  # the first may still be seen in its worker
    assert claims.cancel(cancelled.pk)
    wait_until(lambda: CompletedTask.objects.filter(pk=cancelled.pk, outcome=Status.CANCELLED).exists(), within=20)
    assert daemon.ledger("interrupted")[1]["error"] == "TaskCancelled"
    daemon.assert_converged()
