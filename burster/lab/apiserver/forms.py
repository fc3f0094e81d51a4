"""The forms in which a client may ask for objects: as they are, at another version, as metadata alone, as a table.

The server picks one by the Accept header, and answers single objects, lists and watches in it. Plain objects are encoded once and
shared by all.
"""

from collections.abc import Callable

import orjson

from burster.lab.apiserver.collection import Change, EventType, Record
from burster.lab.apiserver.errors import ApiError, Json
from burster.lab.apiserver.pages import Page
from burster.lab.apiserver.tables import TABLE_VERSION, Include, Tabulator, partial
from burster.lab.apiserver.views import View
from burster.lab.apiserver.watches import bookmark_object


def _event(kind: str, obj: Json) -> bytes:
    return b'{"type":"' + kind.encode() + b'","object":' + orjson.dumps(obj) + b"}\n"


def _list_metadata(page: Page) -> Json:
    metadata: Json = {"resourceVersion": str(page.revision)}
    if page.continue_token:
        metadata["continue"] = page.continue_token
        if page.remaining is not None:
            metadata["remainingItemCount"] = page.remaining
    return metadata


class PlainForm:
    """Objects as they are stored, or as another version shows them."""

    def __init__(self, view: View) -> None:
        self._view = view
        kind = view.kind
        # items of a built-in list do not say their type
        self._cut = 0 if kind.custom else len(f'{{"apiVersion":"{kind.api_version}","kind":"{kind.kind}",')

    def object(self, obj: Json) -> bytes:
        """One object."""
        outward = self._view.outward
        return orjson.dumps(obj if outward is None else outward(obj))

    def list(self, page: Page) -> bytes:
        """A list."""
        kind, outward = self._view.kind, self._view.outward
        if outward is not None:
            parts = [orjson.dumps(outward(record.object)) for record in page.records]
        elif self._cut:
            parts = [b"{" + record.encoded()[self._cut :] for record in page.records]
        else:
            parts = [record.encoded() for record in page.records]
        head = {"kind": kind.list_name, "apiVersion": self._view.api_version, "metadata": _list_metadata(page)}
        return orjson.dumps(head)[:-1] + b',"items":[' + b",".join(parts) + b"]}"

    def added(self, record: Record) -> bytes:
        """The line of an object that was there from the start."""
        outward = self._view.outward
        if outward is not None:
            return _event("ADDED", outward(record.object))
        return b'{"type":"ADDED","object":' + record.encoded() + b"}\n"

    def change(self, change: Change, kind: EventType) -> bytes:
        """The line of a change."""
        outward = self._view.outward
        return change.line(kind) if outward is None else _event(kind, outward(change.carried(kind)))

    def bookmark(self, revision: int, *, initial_end: bool) -> bytes:
        """The line of a bookmark."""
        view = self._view
        return _event("BOOKMARK", bookmark_object(view.api_version, view.kind.kind, revision, initial_end=initial_end))


class MetadataForm:
    """Objects without anything but their metadata."""

    def object(self, obj: Json) -> bytes:
        """One object."""
        return orjson.dumps(partial(obj))

    def list(self, page: Page) -> bytes:
        """A list."""
        return orjson.dumps(
            {
                "kind": "PartialObjectMetadataList",
                "apiVersion": TABLE_VERSION,
                "metadata": _list_metadata(page),
                "items": [partial(record.object) for record in page.records],
            }
        )

    def added(self, record: Record) -> bytes:
        """The line of an object that was there from the start."""
        return _event("ADDED", partial(record.object))

    def change(self, change: Change, kind: EventType) -> bytes:
        """The line of a change."""
        return _event(kind, partial(change.carried(kind)))

    def bookmark(self, revision: int, *, initial_end: bool) -> bytes:
        """The line of a bookmark."""
        return _event(
            "BOOKMARK", bookmark_object(TABLE_VERSION, "PartialObjectMetadata", revision, initial_end=initial_end)
        )


class TableForm:
    """Rows for kubectl get; only a watch's first line says the columns."""

    def __init__(self, view: View, include: Include, now_ms: Callable[[], int]) -> None:
        self._tabulator = Tabulator(view.kind, include)
        self._view = view
        self._now_ms = now_ms
        self._headed = True

    def object(self, obj: Json) -> bytes:
        """One object."""
        metadata = {"resourceVersion": obj["metadata"].get("resourceVersion", "")}
        return orjson.dumps(self._tabulator.table((obj,), metadata, self._now_ms()))

    def list(self, page: Page) -> bytes:
        """A list."""
        objects = [record.object for record in page.records]
        return orjson.dumps(self._tabulator.table(objects, _list_metadata(page), self._now_ms()))

    def _line(self, kind: str, objects: tuple[Json, ...], metadata: Json) -> bytes:
        headed, self._headed = self._headed, False
        return _event(kind, self._tabulator.table(objects, metadata, self._now_ms(), headed=headed))

    def added(self, record: Record) -> bytes:
        """The line of an object that was there from the start."""
        return self._line("ADDED", (record.object,), {"resourceVersion": str(record.revision)})

    def change(self, change: Change, kind: EventType) -> bytes:
        """The line of a change."""
        return self._line(kind, (change.carried(kind),), {"resourceVersion": str(change.revision)})

    def bookmark(self, revision: int, *, initial_end: bool) -> bytes:
        """The line of a bookmark: a row that holds nothing but the revision."""
        view = self._view
        obj = bookmark_object(view.api_version, view.kind.kind, revision, initial_end=initial_end)
        table: Json = {
            "kind": "Table",
            "apiVersion": TABLE_VERSION,
            "metadata": {"resourceVersion": str(revision)},
            "columnDefinitions": None,
            "rows": [{"cells": [None for _ in self._tabulator.columns], "object": obj}],
        }
        return _event("BOOKMARK", table)


AnyForm = PlainForm | MetadataForm | TableForm


def _media(accept: str) -> list[dict[str, str]]:
    """The types of an Accept header with their parameters, best first as clients write them."""
    found: list[dict[str, str]] = []
    for part in accept.split(","):
        name, *parameters = (piece.strip() for piece in part.split(";"))
        pairs = (parameter.partition("=") for parameter in parameters)
        found.append({"": name, **{key.strip(): value.strip() for key, _, value in pairs}})
    return found


def choose_form(view: View, accept: str, include: str, now_ms: Callable[[], int]) -> AnyForm:
    """The first form of an Accept header that can be served; 406 where there is none."""
    for media in _media(accept or "*/*"):
        if media[""] not in ("application/json", "application/*", "*/*", "text/html", ""):
            continue
        wanted = media.get("as", "")
        if wanted == "Table" and media.get("v", "v1") == "v1":
            return TableForm(view, _include(include), now_ms)
        if wanted.startswith("PartialObjectMetadata") and media.get("v", "v1") == "v1":
            return MetadataForm()
        if not wanted:
            return PlainForm(view)
    message = "only the following media types are accepted: application/json, application/json;as=Table"
    raise ApiError(406, "NotAcceptable", message)


def _include(written: str) -> Include:
    match written:
        case "" | "Metadata":
            return "Metadata"
        case "Object":
            return "Object"
        case "None":
            return "None"
        case _:
            raise ApiError(400, "BadRequest", f"unrecognized includeObject value: {written!r}")
