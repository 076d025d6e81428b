"""What the queue asks of a database: the interface of the vendors' engines, and which one is in force."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import CodeType
from typing import Any, ClassVar

from django.conf import settings
from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.transaction import TransactionManagementError
from django.utils import timezone

from bgtasks.queue.request import Call, Stored
from bgtasks.queue.rows import LIVE, names
from bgtasks.queue.types import Holder
from bgtasks.queue.watermark import Piece
from bgtasks.queue.zones import in_utc, utc_offset

Row = tuple[Any, ...]
LOOKED_AT_PER_ROW = 3


@dataclass(frozen=True, slots=True)
class Ended:
    """What is written of a claimed task that is over. `error` None keeps the last one."""

    task_id: int
    token: int
    status: int
    error: str | None = None
    result: str | None = None


@dataclass(frozen=True, slots=True)
class AtOnce:
    """What a turn in a single statement brought."""

    finished: set[int]
    rows: list[Row]
    may_be_more: bool
    """Fewer rows than wanted, and others may have been in the way, or only pieces were looked at."""


class Engine(ABC):
    """One connection's statements. SQL of other modules is built from `now`, `after` and the lock clauses."""

    lock: ClassVar[str] = " FOR UPDATE"
    skip_locked: ClassVar[str] = " FOR UPDATE SKIP LOCKED"
    by_id: ClassVar[str] = ""
    """Hint after a table's name: find rows by their ids, or a small table is scanned, and locked, from end to end."""
    first: ClassVar[str] = "LIMIT %(limit)s"
    """End of a SELECT in the order of an index that is to be read no further than needed."""
    live_columns: ClassVar[str] = names(LIVE)
    """SELECT list of a live row, in the order of `rows.LIVE`."""
    delete_task: ClassVar[str] = "DELETE FROM bgtasks_task"
    """How to begin deleting tasks by their ids."""

    connect_timeouts: ClassVar[tuple[str, ...]] = ()
    """Options of the driver that bound, in whole seconds, how long it connects."""
    answer_timeouts: ClassVar[tuple[str, ...]] = ()
    """Options that bound how long it waits for an answer, whoever asks."""
    lock_timeouts: ClassVar[tuple[str, ...]] = ()
    """Options that bound how long it waits for the write lock of a whole database."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self.connection = connection
        self.pieces: tuple[Piece, ...] = ()
        """The parts of queues that a claim is to look at, and only then at everything (`watermark`)."""

    # What time it is

    @property
    @abstractmethod
    def now(self) -> str:
        """SQL for the database's clock, as the columns hold it."""

    @abstractmethod
    def after(self, seconds: str) -> str:
        """Return SQL for the database's clock plus the seconds that the named parameter holds."""

    def clock(self) -> dict[str, Any]:
        """Return the parameters that `now` needs."""
        return {}

    def to_python(self, value: Any) -> datetime:
        """Return a datetime as the ORM would give it. Nothing to do where the driver knows time zones."""
        return value  # type: ignore[no-any-return]

    @property
    def row_time(self) -> Callable[[Any], datetime]:
        """How to read a datetime that travelled in a row of `live_columns`, as the ORM would give it."""
        return self.to_python

    def to_database(self, value: datetime) -> Any:
        """Return a datetime as the ORM would store it."""
        return self.connection.ops.adapt_datetimefield_value(value)

    def at(self, seconds: float) -> Any:
        """Return a moment, in seconds since 1970, as the ORM would store it."""
        moment = datetime.fromtimestamp(seconds, UTC)
        return self.to_database(moment if settings.USE_TZ else timezone.make_naive(moment))

    def lasting(self, seconds: float) -> float:
        """Return the seconds to add for a lease: more if columns hold local time and that jumps meanwhile."""
        if in_utc(self.connection):
            return seconds
        now = timezone.now()
        jump = utc_offset(self.connection, now + timedelta(seconds=seconds)) - utc_offset(self.connection, now)
        return seconds + max(0, jump)

    # Transactions and statements

    is_too_strict = False
    """Whether transactions are isolated so strictly that several workers are refused what they do at the same time."""

    def is_between_transactions(self) -> bool:
        """Return whether nobody's transaction is open on this connection."""
        return not self.connection.in_atomic_block and self.connection.get_autocommit()

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        """Give a cursor in a transaction of its own. Raises rather than enter one that somebody left open."""
        if not self.connection.in_atomic_block and not self.is_between_transactions():
            raise TransactionManagementError("autocommit is off: somebody's transaction is open on this connection")
        with transaction.atomic(using=self.connection.alias, durable=True), self.connection.cursor() as cursor:
            yield cursor

    @contextmanager
    def joined(self) -> Iterator[Any]:
        """Give a cursor in the caller's transaction, or in one of its own if there is none."""
        if self.connection.in_atomic_block:
            with self.connection.cursor() as cursor:
                yield cursor
        else:
            with self.transaction() as cursor:
                yield cursor

    @contextmanager
    def whole(self) -> Iterator[None]:
        """Keep all that is written or nothing: in a transaction, or a savepoint of the caller's."""
        if self.is_between_transactions():
            with self.transaction():
                yield
        else:
            with transaction.atomic(using=self.connection.alias):
                yield

    @contextmanager
    def atomic(self) -> Iterator[None]:
        """Open the transaction in which a task's body and its settling commit together."""
        with transaction.atomic(using=self.connection.alias, durable=True):
            yield

    def turnstile(self) -> AbstractContextManager[None]:
        """Wait for this host's other writers where one at a time can write, around a write outside of `transaction`."""
        return nullcontext()

    def reserve(self) -> None:  # noqa: B027 - only SQLite has something to do
        """Let the caller's transaction get what it needs for writing before it reads, where that matters."""

    def execute(self, cursor: Any, sql: str, **parameters: Any) -> Any:
        """Run one statement with named parameters; those of the clock are added."""
        cursor.execute(sql, {**self.clock(), **parameters})
        return cursor

    def wait_of_the_driver(self) -> CodeType | None:
        """Return the code in which the driver waits for an answer, if a signal handler may raise there."""
        return None

    def is_deadlock(self, error: Exception) -> bool:
        """Return whether the database undid a whole transaction because it was in the way of another one."""
        return False

    def listed(self, prefix: str, values: Sequence[Any]) -> tuple[str, dict[str, Any]]:
        """Return `(%(x0)s, %(x1)s)` and its parameters, for an IN; of nothing: a list that nothing is in."""
        parameters = {f"{prefix}{at}": value for at, value in enumerate(values)}
        return f"({', '.join(f'%({name})s' for name in parameters) or 'NULL'})", parameters

    # What each vendor does in its own way

    @abstractmethod
    def insert(self, row: Row, run_at: datetime | None) -> Row | None:
        """Insert a request (`enqueueing.REQUEST` columns); return (id, status, run_at, created_at).

        None: another row has its `unique_key`.
        """

    @abstractmethod
    def insert_many(self, row: Row, run_at: datetime | None, calls: Sequence[Call]) -> Stored:
        """Insert as many requests as there are calls in one statement, alike but for `request.OF_CALL`."""

    @abstractmethod
    def claim(self, cursor: Any, want: int, holder: Holder, token: int) -> list[Row]:
        """Claim up to `want` ready rows; return them as `live_columns`, in any order."""

    @abstractmethod
    def finish(self, cursor: Any, ended: Sequence[Ended]) -> list[tuple[int, int]]:
        """Move claimed rows to the history; return (id, repeat) of those whose claim still stood."""

    def at_once(self, ended: Sequence[Ended], want: int, holder: Holder, token: int) -> AtOnce | None:
        """Finish what does not repeat and claim up to `want`, in one statement outside of any transaction.

        None: this database needs several, and so a transaction.
        """
        return None


def looked_at(want: int) -> int:
    """Return how many rows to look at for so many wanted: beyond them is what others are taking right now.

    If they take all of it, the heads of the queues are locked, which finds the rest but costs more.
    """
    return want * LOOKED_AT_PER_ROW + 8 if want else 0
