"""The loop of one worker process: claim, execute, settle. It knows nothing of whoever keeps it alive."""

from bgtasks.worker.loop import Worker
from bgtasks.worker.observer import Observer
from bgtasks.worker.pace import Pace
from bgtasks.worker.sharing import SharingWorker

__all__ = ["Observer", "Pace", "SharingWorker", "Worker"]
