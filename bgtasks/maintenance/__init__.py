"""What a host owes the queue besides running tasks: renew, release, stage, reclaim, bury, prune, sample."""

from bgtasks.maintenance.contact import Contact
from bgtasks.maintenance.report import Report
from bgtasks.maintenance.rounds import Maintenance

__all__ = ["Contact", "Maintenance", "Report"]
