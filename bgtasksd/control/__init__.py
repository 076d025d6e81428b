"""The sockets at which a daemon is asked: requests in, facts out, in the supervisor's own loop. Limits guard it."""

from bgtasksd.control.answering import Command, CommandError
from bgtasksd.control.http import HttpServer
from bgtasksd.control.listener import ControlError
from bgtasksd.control.server import ControlServer
from bgtasksd.control.servers import Servers

__all__ = ["Command", "CommandError", "ControlError", "ControlServer", "HttpServer", "Servers"]
