"""One read of one query: in a slot of its server, within a deadline, after a pause where it has failed.

Called by ``burster.runtime.metric_poller`` for each tick that is due. A slow server holds up its own slots only. It must never know who
asks, or what a missing value means.
"""

import asyncio
import random
from collections.abc import Callable
from typing import Final, Protocol

import structlog

from burster.clients.metric_errors import OF_THE_SERVER, MetricError
from burster.model.triggers import MetricsApiTrigger, PrometheusTrigger
from burster.runtime.clock import Clock
from burster.runtime.metric_queries import Query
from burster.sources.metrics import ReadTrigger, Value


_log = structlog.get_logger("burster.runtime.metric_reads")

#: Reads under way at one server at most.
SLOTS: Final = 4
#: Over the deadline of the read itself: for the authentication and its Secrets, which the API server is asked for.
_SPARE_S: Final = 20.0
_KUBERNETES_S: Final = 10.0
_BACKOFF_MIN_S: Final = 1.0
_BACKOFF_MAX_S: Final = 60.0


class Reader(Protocol):
    """Who reads: burster.sources.metrics.MetricReader."""

    async def read(self, namespace: str, trigger: ReadTrigger, now_s: float) -> Value:
        """Return a trigger's value. Raises MetricError."""
        ...


class Pause:
    """When somebody is asked again who has failed."""

    def __init__(self) -> None:
        self.failures = 0
        self.until_s = 0.0

    def failed(self, began_s: float, now_s: float, chance: random.Random, retry_after_ms: int | None) -> None:
        """Pause longer than before; what was under way already when the pause began tells nothing new."""
        if self.failures and began_s < self.until_s:
            return
        self.failures += 1
        pause = min(_BACKOFF_MAX_S, _BACKOFF_MIN_S * 2 ** min(self.failures - 1, 10)) * chance.uniform(0.5, 1.0)
        self.until_s = now_s + max(pause, (retry_after_ms or 0) / 1000)

    def over(self) -> None:
        """Forget all failures."""
        self.failures, self.until_s = 0, 0.0


class _Server:
    """A server, and how much of it is in use."""

    def __init__(self) -> None:
        self.slots = asyncio.Semaphore(SLOTS)
        self.pause = Pause()
        self.error = MetricError("unreachable", "")  #: what the pause is for


class Answered:
    """The latest answer to a query; ``at_ms`` is when it was asked for, ``asked_s`` the same on the monotonic clock."""

    def __init__(self) -> None:
        self.at_ms = 0
        self.asked_s: float | None = None
        self.result: Value | MetricError | None = None
        self.pause = Pause()  #: for what says nothing about the server


class MetricReads:
    """All servers that metrics are read from. ``ended`` hears whom was asked, ``ok`` or the fault, and how many seconds it took."""

    def __init__(self, reader: Reader, clock: Clock, chance: random.Random) -> None:
        self._reader = reader
        self._clock = clock
        self._chance = chance
        self._servers: dict[str, _Server] = {}
        self.ended: Callable[[str, str, float], None] = _unheard

    def forget(self, server: str) -> None:
        """Keep nothing of a server that nobody asks any more."""
        self._servers.pop(server, None)

    async def read(self, query: Query, answered: Answered) -> Value | MetricError:
        """Ask, and note the answer."""
        server = self._servers.setdefault(query.server, _Server())
        async with server.slots:
            answered.asked_s = self._clock.monotonic()
            # a wall clock that is set back must not make news look older than what was heard before
            answered.at_ms = max(answered.at_ms + 1, self._clock.now_ms())
            if answered.asked_s < server.pause.until_s:
                result = MetricError(server.error.fault, f"not asked again yet, as {server.error.message}")
            else:
                result = await self._ask(query)
                self._note(result, answered, server, query.server)
        answered.result = result
        return result

    async def _ask(self, query: Query) -> Value | MetricError:
        try:
            async with asyncio.timeout(_deadline_s(query.trigger)):
                return await self._reader.read(query.namespace, query.trigger, self._clock.monotonic())
        except MetricError as error:
            return error
        except TimeoutError:
            return MetricError("timeout", f"{query.server} gave no answer in time")
        except Exception as error:  # noqa: BLE001 - a bug in reading one answer must not stop the others
            _log.exception("metric.crashed", server=query.server)
            return MetricError("protocol", f"the answer could not be read ({type(error).__name__})")

    def _note(self, result: Value | MetricError, answered: Answered, server: _Server, name: str) -> None:
        began_s, now_s = answered.asked_s or 0.0, self._clock.monotonic()
        if isinstance(result, MetricError):
            of_the_server = result.fault in OF_THE_SERVER
            pause = server.pause if of_the_server else answered.pause
            pause.failed(began_s, now_s, self._chance, result.retry_after_ms)
            server.error = result if of_the_server else server.error
        else:
            answered.pause.over()
            server.pause.over()
        self.ended(name, result.fault if isinstance(result, MetricError) else "ok", now_s - began_s)


def _unheard(_source: str, _outcome: str, _seconds: float) -> None:
    """Nobody counts."""


def _deadline_s(trigger: ReadTrigger) -> float:
    http = isinstance(trigger, PrometheusTrigger | MetricsApiTrigger)
    return (trigger.access.timeout_ms / 1000 if http else _KUBERNETES_S) + _SPARE_S
