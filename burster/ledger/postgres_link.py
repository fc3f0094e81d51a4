"""One connection to PostgreSQL on a thread of its own, so that a database that does not answer holds nobody up for longer than a deadline.

The ledger is written from the event loop, which also renews the leader's lease: it may wait for a moment, never for a broken network. A
link that is down says so at once and comes up again by itself, one attempt at a time.
"""

import contextlib
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final, TypeVar

import psycopg

from burster.ledger.backend import LedgerUnwritableError


T = TypeVar("T")
Connection = psycopg.Connection[tuple[Any, ...]]
#: libpq's own deadline for connecting; it knows no less than 2
CONNECT_S: Final = 3
#: how long the first connection may take in all
FIRST_S: Final = 5.0
#: after a failed attempt
_AGAIN_S: Final = 1.0
#: the server ends by itself what nobody waits for any more
_SESSION: Final = """
SET statement_timeout = '{ms}ms'; SET lock_timeout = '{ms}ms'; SET idle_in_transaction_session_timeout = '{ms}ms';
SET client_encoding = 'UTF8'; SET synchronous_commit = on
"""


class Link:
    """A connection that may come and go. Everything is called from one thread; ``call``'s functions run on another."""

    def __init__(self, url: str, *, deadline_s: float) -> None:
        self._url = url
        self._deadline_s = deadline_s
        self._session: _Session | None = None
        self._why = ""
        self._not_before = 0.0

    def first(self) -> None:
        """Wait for the first connection. Raises LedgerUnwritableError."""
        session = self._begin()
        if not session.settled.wait(FIRST_S) or session.failure:
            session.leave()
            self._session = None
            raise LedgerUnwritableError(session.failure or f"no answer within {FIRST_S:g}s")

    def call(self, work: Callable[[Connection], T]) -> T:
        """Return what ``work`` makes of the connection.

        Raises psycopg.Error of the work's own, and LedgerUnwritableError: at once where there is no connection at this moment,
        ``unknown`` where there was no answer in time.
        """
        session = self._session
        if session is None or session.failure:
            self._why = session.failure if session is not None else self._why
            if time.monotonic() >= self._not_before:
                self._begin()
            raise LedgerUnwritableError(f"there is no connection at the moment: {self._why or 'it is being made'}")
        if not session.settled.is_set():
            raise LedgerUnwritableError("there is no connection at the moment: it is being made")
        promise: Future[T] = Future()
        session.jobs.put((promise, work))
        try:
            return promise.result(self._deadline_s)
        except TimeoutError:
            promise.cancel()
            self._lost(f"no answer within {self._deadline_s:g}s")
            raise LedgerUnwritableError(f"no answer within {self._deadline_s:g}s", unknown=True) from None
        except psycopg.Error as error:
            if session.failure:
                self._lost(str(error))
            raise

    def _begin(self) -> "_Session":
        self._not_before = time.monotonic() + _AGAIN_S
        self._session = _Session(self._url, int(self._deadline_s * 1000))
        return self._session

    def _lost(self, why: str) -> None:
        if self._session is not None:
            self._session.leave()
        self._session, self._why = None, " ".join(why.split())

    def close(self) -> None:
        """Hang up, waiting for a moment."""
        if self._session is not None:
            session, self._session = self._session, None
            session.leave()
            session.thread.join(FIRST_S)


class _Session:
    """One connection's life on its thread; never comes back."""

    def __init__(self, url: str, statement_ms: int) -> None:
        self.jobs: queue.SimpleQueue[tuple[Future[Any], Callable[[Connection], Any]] | None] = queue.SimpleQueue()
        self.settled = threading.Event()  #: it is connected, or never will be
        self.failure = ""
        self._url = url
        self._statement_ms = statement_ms
        self.thread = threading.Thread(target=self._live, name="ledger", daemon=True)
        self.thread.start()

    def leave(self) -> None:
        """Have it end; whoever is in the middle of something is left alone with it."""
        self.jobs.put(None)

    def _live(self) -> None:
        try:
            connection = psycopg.connect(
                self._url,
                autocommit=True,
                connect_timeout=CONNECT_S,
                application_name="burster",
                keepalives_idle=5,
                keepalives_interval=2,
                keepalives_count=3,
                tcp_user_timeout=5_000,
            )
        except (psycopg.Error, OSError) as error:
            self.failure = " ".join(str(error).split()) or type(error).__name__
            self.settled.set()
            return
        try:
            connection.execute(_SESSION.format(ms=self._statement_ms).encode())
            self.settled.set()
            self._work(connection)
        except psycopg.Error as error:
            self.failure = " ".join(str(error).split()) or type(error).__name__
        finally:
            self.settled.set()
            with contextlib.suppress(psycopg.Error):
                connection.close()

    def _work(self, connection: Connection) -> None:
        while (job := self.jobs.get()) is not None:
            promise, work = job
            if not promise.set_running_or_notify_cancel():
                continue
            try:
                promise.set_result(work(connection))
            except BaseException as error:  # noqa: BLE001 - it is the caller's
                if connection.closed:
                    self.failure = " ".join(str(error).split()) or "the connection broke"
                promise.set_exception(error)
            if self.failure:
                return
