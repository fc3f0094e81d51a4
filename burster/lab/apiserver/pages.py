"""Lists: a consistent page of a collection, with the token that continues it.

The store calls it. Every page of one list shows the same revision; where that is forgotten, the answer is 410 with a token to go on
inconsistently.
"""

import base64
import binascii
from typing import NamedTuple

import orjson

from burster.lab.apiserver.collection import Collection, Record
from burster.lab.apiserver.errors import ApiError, bad_request, expired
from burster.lab.apiserver.objects import is_object
from burster.lab.apiserver.selectors import Predicate


class Page(NamedTuple):
    """Some records of a list."""

    records: list[Record]
    revision: int
    continue_token: str = ""
    remaining: int | None = None


class Ask(NamedTuple):
    """What a list asks for besides its selectors."""

    limit: int = 0
    continue_token: str = ""
    resource_version: str = ""
    match: str = ""


def parse_revision(written: str) -> int:
    """A resourceVersion from a client; "" is 0."""
    if not written:
        return 0
    if not written.isdecimal():
        raise bad_request(f'Invalid value: "{written}": strconv.ParseUint: parsing "{written}": invalid syntax')
    return int(written)


def _token(revision: int, start: str) -> str:
    body = orjson.dumps({"v": "meta.k8s.io/v1", "rv": revision, "start": start})
    return base64.urlsafe_b64encode(body).rstrip(b"=").decode()


def _parse_token(token: str) -> tuple[int, str]:
    try:
        body = orjson.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    except (ValueError, binascii.Error):
        body = None
    if not is_object(body) or not isinstance(body.get("rv"), int) or not isinstance(body.get("start"), str):
        raise bad_request(f"continue key is not valid: {token!r}")
    return body["rv"], body["start"]


_TOO_OLD = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue "
    "parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided "
    "token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was "
    "returned and now may show up in the list."
)


def check_not_future(asked: int, present: int) -> None:
    """A revision that does not exist yet can't be shown."""
    if asked > present:
        message = f"Too large resource version: {asked}, current: {present}"
        causes = [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]
        raise ApiError(504, "Timeout", message, details={"causes": causes, "retryAfterSeconds": 1})


def _source(collection: Collection, namespace: str, revision: int) -> list[Record] | None:
    if revision >= collection.changed_at:
        return list(collection.range(namespace))
    records = collection.at(revision)
    if records is None or not namespace or not collection.kind.namespaced:
        return records
    prefix = f"{namespace}/"
    return [record for record in records if record.key.startswith(prefix)]


def page(collection: Collection, present: int, namespace: str, predicate: Predicate | None, ask: Ask) -> Page:
    """The records that a list shows."""
    start, revision = "", present
    if ask.continue_token:
        if ask.resource_version not in ("", "0"):
            raise bad_request("specifying resource version is not allowed when using continue")
        revision, start = _parse_token(ask.continue_token)
        if revision < 0:
            revision = present
    else:
        asked = parse_revision(ask.resource_version)
        check_not_future(asked, present)
        exact = ask.match == "Exact" or (ask.limit and asked and not ask.match)
        if exact and asked:
            revision = asked
    records = _source(collection, namespace, revision)
    if records is None:
        if ask.continue_token:
            raise expired(_TOO_OLD, continue_token=_token(-1, start))
        raise expired(f"The resourceVersion for the provided list is too old: {revision} ({collection.compacted_at})")
    return _cut(collection, records, revision, predicate, start, ask.limit)


def _cut(
    collection: Collection, records: list[Record], revision: int, predicate: Predicate | None, start: str, limit: int
) -> Page:  # fmt: skip
    everything = records
    if start:
        records = [record for record in records if record.key > start]
    if predicate is not None:
        records = [record for record in records if predicate(record.object)]
    if not limit or len(records) <= limit:
        return Page(records, revision)
    if revision >= collection.changed_at and not start and len(everything) == len(collection.records):
        # what the next pages will be cut from, should anything change meanwhile
        collection.remember(revision, everything)
    shown = records[:limit]
    remaining = None if predicate is not None else len(records) - limit
    return Page(shown, revision, _token(revision, shown[-1].key), remaining)
