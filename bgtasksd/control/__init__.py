"""The control socket's server: requests in, facts out, in the supervisor's own loop. Limits guard the loop."""

from bgtasksd.control.listener import ControlError
from bgtasksd.control.server import CommandError, ControlServer

__all__ = ["CommandError", "ControlError", "ControlServer"]
