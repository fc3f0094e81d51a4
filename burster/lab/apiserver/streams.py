"""Serving a watch over HTTP: from the request's options to the last line.

The server hands it watch calls. It keeps the set of running watches, so that they can be cut.
"""

import asyncio
from contextlib import aclosing
from typing import Final

from aiohttp import web
from multidict import MultiMapping

from burster.lab.apiserver.calls import Call, is_true
from burster.lab.apiserver.errors import ApiError
from burster.lab.apiserver.faults import Fault
from burster.lab.apiserver.handlers import form_of
from burster.lab.apiserver.pages import check_not_future, parse_revision
from burster.lab.apiserver.selectors import compile_selectors
from burster.lab.apiserver.store import Store
from burster.lab.apiserver.watches import Selection, Watch


WATCH_S: Final = 1800.0  # how long a watch runs that does not say
_HEADERS: Final = {"Content-Type": "application/json", "Cache-Control": "no-cache, private"}


class BrokenOffError(Exception):
    """The connection is to break without a word."""


class Streams:
    """The running watches of one server."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._running: set[Watch] = set()

    def cut(self) -> None:
        """End all watches; clients resume where they were."""
        for watch in tuple(self._running):
            watch.stop()

    async def serve(self, request: web.BaseRequest, call: Call, fault: Fault | None) -> web.StreamResponse:
        """Run one watch to its end."""
        watch, first = self._begin(call)
        response = web.StreamResponse(headers=_HEADERS)
        response.enable_chunked_encoding()
        self._running.add(watch)
        try:
            await response.prepare(request)
            await self._write(response, watch, first, call, fault)
        except ConnectionError:
            raise BrokenOffError from None
        finally:
            self._running.discard(watch)
        return response

    def _begin(self, call: Call) -> tuple[Watch, list[bytes]]:
        """The watch, placed where the client wants it to start, and what it shows before that."""
        query, store, kind = call.query, self._store, call.view.kind
        predicate = compile_selectors(
            kind, labels=query.get("labelSelector", ""), fields=query.get("fieldSelector", "")
        )
        form = form_of(store, call)
        selection = Selection(call.namespace, predicate)
        watch = Watch(store.collection(kind.resource), selection, form, lambda: store.revision)
        revision = parse_revision(query.get("resourceVersion", ""))
        wants_initial = query.get("sendInitialEvents", "")
        _check_options(wants_initial, query)
        check_not_future(revision, store.revision)
        if is_true(wants_initial):
            first = watch.initial()
            if is_true(query.get("allowWatchBookmarks", "")):
                first.append(form.bookmark(store.revision, initial_end=True))
            return watch, first
        if revision:
            watch.start_after(revision)
        elif not wants_initial:
            return watch, watch.initial()
        return watch, []

    async def _write(
        self, response: web.StreamResponse, watch: Watch, first: list[bytes], call: Call, fault: Fault | None
    ) -> None:  # fmt: skip
        asked_s = call.number("timeoutSeconds")
        timeout_s = float(asked_s) if asked_s else WATCH_S
        left = None
        if fault is not None:
            left = fault.cut_after_events
            for end_ms in (fault.cut_after_ms, fault.silent_after_ms):
                timeout_s = timeout_s if end_ms is None else min(timeout_s, end_ms / 1000)
        if first:
            await response.write(b"".join(first))
        bookmarks = is_true(call.query.get("allowWatchBookmarks", ""))
        async with aclosing(watch.follow(timeout_s=timeout_s, bookmarks=bookmarks)) as chunks:
            async for chunk in chunks:
                await response.write(chunk)
                if left is not None:
                    left -= chunk.count(b"\n")
                    if left <= 0:
                        raise BrokenOffError
        if fault is not None and fault.silent_after_ms is not None:
            await asyncio.Event().wait()  # until the client hangs up
        await response.write_eof()


def _check_options(wants_initial: str, query: MultiMapping[str]) -> None:
    match = query.get("resourceVersionMatch", "")
    why = ""
    if wants_initial and match != "NotOlderThan":
        why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
    elif match and not wants_initial:
        why = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
    if why:
        raise ApiError(422, "Invalid", f'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: {why}')
