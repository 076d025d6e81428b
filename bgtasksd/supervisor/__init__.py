"""Policy: how many workers, when to replace, pace, drain, stop. Neither Django nor the application is ever here."""

from bgtasksd.supervisor.run import Supervisor

__all__ = ["Supervisor"]
