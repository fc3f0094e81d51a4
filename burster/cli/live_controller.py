"""A running controller as a source, and a controller with the cluster's records to fall back on. Used by ``asking`` only."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from burster.clients.controller import ControllerClient, NoControllerError
from burster.model.errors import InputError
from burster.runtime.clock import SystemClock
from burster.surfaces.answers import HistoryAnswer, HistoryQuery, WhyAnswer
from burster.surfaces.spending import SpendQuery, SpendReport
from burster.surfaces.view import StatusView


if TYPE_CHECKING:
    from burster.cli.cluster import ClusterRecords

T = TypeVar("T")


class LiveController:
    """Asks a controller. It has no stream of changes: whoever watches asks again after a while."""

    def __init__(self, client: ControllerClient, namespace: str, every_s: float) -> None:
        self._client = client
        self._namespace = namespace
        self._every_s = every_s

    @property
    def title(self) -> str:
        """Who it is, for people."""
        return f"the controller ({self._client.where})"

    def status(self) -> StatusView:
        """Return how everything stands. The view is of the whole: it is not for one namespace."""
        if self._namespace:
            raise InputError("a controller tells the status of the whole: leave -n out, or --server")
        return self._get("status", {}, StatusView)

    def why(self, name: str) -> WhyAnswer:
        """Return what is known of NAME or NAMESPACE/NAME."""
        key = f"{self._namespace}/{name}" if self._namespace and "/" not in name else name
        return self._get("why", {"name": key}, WhyAnswer)

    def history(self, query: HistoryQuery) -> HistoryAnswer:
        """Return what was decided."""
        return self._get("history", _params(msgspec.structs.replace(query, namespace=self._namespace)), HistoryAnswer)

    def spend(self, query: SpendQuery) -> SpendReport:
        """Return what bursting costs."""
        return self._get("spend", _params(msgspec.structs.replace(query, namespace=self._namespace)), SpendReport)

    def now_ms(self) -> int:
        """Return the time."""
        return SystemClock().now_ms()

    def wait(self) -> None:
        """Return after a while."""
        time.sleep(self._every_s)

    def _get(self, question: str, params: dict[str, str | int], answer: type[T]) -> T:
        try:
            return self._client.get(f"/v1/{question}", params, answer)
        except NoControllerError as error:
            raise NoControllerError(f"{self._client.where}: {error}") from error


def _params(query: msgspec.Struct) -> dict[str, str | int]:
    given: dict[str, Any] = msgspec.structs.asdict(query)
    return {
        name: ",".join(value) if isinstance(value, tuple) else value  # pyright: ignore[reportUnknownArgumentType] (built of text)
        for name, value in given.items()
        if value not in (None, "", ())
    }


class ControllerOrRecords:
    """Asks the controller, and the records from the moment when it turns out that no controller answers."""

    def __init__(
        self, controller: LiveController, records: "ClusterRecords", note: Callable[[str], None], *, watch: bool
    ) -> None:
        self._controller = controller
        self._records = records
        self._note = note
        self._watch = watch
        self._by_records = False
        self._answered = False

    @property
    def title(self) -> str:
        """Who answers, for people."""
        return self._records.title if self._by_records else self._controller.title

    def status(self) -> StatusView:
        """Return how everything stands."""
        if self._records.namespace:
            # the picture is of the whole: of one namespace, its records are all there is to tell
            self._by_records = True
        return self._first(self._controller.status, self._records.status)

    def why(self, name: str) -> WhyAnswer:
        """Return what is known of NAME or NAMESPACE/NAME."""
        return self._first(lambda: self._controller.why(name), lambda: self._records.why(name))

    def history(self, query: HistoryQuery) -> HistoryAnswer:
        """Return what was decided."""
        return self._first(lambda: self._controller.history(query), lambda: self._records.history(query))

    def spend(self, query: SpendQuery) -> SpendReport:
        """Return what bursting costs."""
        return self._first(lambda: self._controller.spend(query), lambda: self._records.spend(query))

    def now_ms(self) -> int:
        """Return the time."""
        return SystemClock().now_ms()

    def wait(self) -> None:
        """Return when there may be something new to tell."""
        (self._records if self._by_records else self._controller).wait()

    def _first(self, controller: Callable[[], T], records: Callable[[], T]) -> T:
        if not self._by_records:
            try:
                answer = controller()
            except NoControllerError as error:
                if self._answered:
                    # somebody watches: what the controller has told is not to turn into another tale
                    raise InputError(str(error)) from error
                self._by_records = True
                self._note(f"no controller answers ({error}): told from Burst records, conditions and events")
            else:
                self._answered = True
                return answer
        if self._watch:
            self._records.follow()
        return records()
