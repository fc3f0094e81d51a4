"""The kinds of text that rules have beyond names: addresses, dates, times of day, zones, cron, lists within one text, VM sizes.

Used as annotations by the schema, each with a sentence for what is wrong. What texts mean is read by ``compile`` with the functions beside
each kind. Calls the checkers of conditions and windows through ``expressions`` only.
"""

import re
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field
from pydantic.json_schema import JsonSchemaValue

from burster.model.addresses import address_of, never_read
from burster.policy.endpoints import ROUTING_HEADERS, endpoint_of, server_of
from burster.policy.expressions import check_cron, check_day, check_zone
from burster.policy.fields import DnsName, Kind, Matching, shown, unique


_URL_LENGTH_MAX: Final = 2_048
_PAIRS_LENGTH_MAX: Final = 4_096
_ORIGIN: Final = r"(https?|grpc)://([a-z0-9]([-a-z0-9.]*[a-z0-9])?|\[[0-9a-f:.]+\])(:[0-9]{1,5})?"
_ZONE: Final = "[A-Za-z0-9_+/-]+"
_ZONE_LENGTH_MAX: Final = 64
_CRON_LENGTH_MAX: Final = 200
_TIME: Final = r"([01][0-9]|2[0-3]):[0-5][0-9]|24:00"
_HEADER: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")
#: a size of Azure's without the prefix it has in every API
_SHORT_SIZE: Final = re.compile(r"(?i:standard_)?[A-Z]{1,3}[0-9]+[a-z]*(_[A-Za-z0-9]+)*_v[0-9]+")
_SIZE: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,78}[A-Za-z0-9])?")
_AZURE_PREFIX: Final = "Standard_"
_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_REQUIREMENT: Final = re.compile(
    r"\s*(!\s*{key}|{key}(\s*(=|==|!=)\s*{value}|\s+(in|notin)\s*\(\s*{value}(\s*,\s*{value})*\s*\))?)\s*".format(
        key=r"([a-z0-9][-a-z0-9.]{0,252}/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?",
        value=r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?",
    )
)


@dataclass(frozen=True, slots=True)
class ServerUrl(Kind):
    """An http or https address; never with credentials in it."""

    def _check(self, value: Any) -> Any:
        if isinstance(value, str):
            _check_url(value)
        return value

    def _json_schema(self) -> JsonSchemaValue:
        return {"type": "string", "pattern": r"^https?://[^@\s]+$", "maxLength": _URL_LENGTH_MAX}


def _check_url(text: str) -> None:
    example = "write it without blanks, for example https://thanos.monitoring.svc:9092"
    if len(text) > _URL_LENGTH_MAX or not re.fullmatch(r"[!-~]+", text):
        raise ValueError(f"{shown(text)} is no address: {example}")
    if re.match(r"[a-z]+://[^/?#]*@", text, re.IGNORECASE):
        raise ValueError(
            "holds a user or a password: put them into a TriggerAuthentication, named by authenticationRef"
        )
    if not re.match(r"https?://", text) or not endpoint_of(text):
        raise ValueError(
            f"{shown(text)} is no http or https address with a host that can be read in one way only: {example}"
        )


@dataclass(frozen=True, slots=True)
class Origin(Kind):
    """``scheme://host[:port]`` and nothing behind it."""

    def _check(self, value: Any) -> Any:
        if isinstance(value, str) and (not endpoint_of(value) or not re.fullmatch(_ORIGIN, value)):
            raise ValueError(
                f"{shown(value)} is not scheme://host:port in lower case, without a path: write for example"
                " https://thanos.monitoring.svc:9092"
            )
        address = address_of(server_of(value)[0]) if isinstance(value, str) else None
        if address is not None and (why := never_read(address)):
            raise ValueError(f"{shown(value)} can't be allowed, as {why}: name a server of metrics")
        return value

    def _json_schema(self) -> JsonSchemaValue:
        return {"type": "string", "pattern": f"^{_ORIGIN}$", "maxLength": 300}


@dataclass(frozen=True, slots=True)
class KeyValues(Kind):
    """KEDA's ``key=value,key=value``; ``headers`` may not carry credentials."""

    headers: bool = False

    def _check(self, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        if len(value) > _PAIRS_LENGTH_MAX:
            raise ValueError(f"is longer than {_PAIRS_LENGTH_MAX} characters: write less")
        names: list[str] = []
        for part in value.split(","):
            name, equals, _ = part.partition("=")
            if not equals or not name.strip():
                raise ValueError(f"{shown(part)} is no pair: write name=value, and a comma between pairs")
            names.append(name.strip().lower() if self.headers else name.strip())
        unique(tuple(names))
        if self.headers:
            _check_headers(names)
        return value

    def _json_schema(self) -> JsonSchemaValue:
        return {"type": "string", "minLength": 1, "maxLength": _PAIRS_LENGTH_MAX}


def _check_headers(names: list[str]) -> None:
    for name in names:
        if not _HEADER.fullmatch(name):
            raise ValueError(f"{shown(name)} is no name of an HTTP header")
        if name in {"authorization", "proxy-authorization", "cookie"}:
            raise ValueError(
                f"{name} is a credential: put it into a TriggerAuthentication, named by authenticationRef, and choose it by authModes"
            )
        if name in ROUTING_HEADERS:
            raise ValueError(
                f"{name} is not a policy's to set: it says whom a request is for, which is the address that the target allows"
            )


def pairs_of(text: str | None) -> dict[str, str]:
    """Return the pairs of a ``key=value,key=value``."""
    pairs = (part.partition("=") for part in text.split(",")) if text else ()
    return {name.strip(): value.strip() for name, _, value in pairs}


@dataclass(frozen=True, slots=True)
class IsoDate(Kind):
    """A day such as ``2026-11-27``."""

    def _check(self, value: Any) -> Any:
        if isinstance(value, str):
            fits = re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value) is not None
            try:
                date.fromisoformat(value if fits else "")
            except ValueError:
                fits = False
            if not fits:
                raise ValueError(f'{shown(value)} is no day: write year, month and day, for example "2026-11-27"')
            check_day(value)
        return value

    def _json_schema(self) -> JsonSchemaValue:
        return {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$", "maxLength": 10}


@dataclass(frozen=True, slots=True)
class ClockTime(Kind):
    """A time of day from ``00:00`` to ``24:00``."""

    def _check(self, value: Any) -> Any:
        if isinstance(value, int) and not isinstance(value, bool):
            raise ValueError(f'{value} is no time of day: write hours and minutes in quotes, for example "08:00"')  # noqa: TRY004 (pydantic reports ValueError)
        if isinstance(value, str) and not re.fullmatch(_TIME, value):
            raise ValueError(
                f'{shown(value)} is no time of day: write hours and minutes with two digits each, for example "08:00"'
            )
        return value

    def _json_schema(self) -> JsonSchemaValue:
        return {"type": "string", "pattern": f"^({_TIME})$", "maxLength": 5}


@dataclass(frozen=True, slots=True)
class ZoneText(Kind):
    """An IANA time zone."""

    def _check(self, value: Any) -> Any:
        if isinstance(value, str):
            if len(value) > _ZONE_LENGTH_MAX or not re.fullmatch(_ZONE, value):
                raise ValueError(f"{shown(value)} is no time zone: write an IANA name like Europe/Berlin")
            check_zone(value)
        return value

    def _json_schema(self) -> JsonSchemaValue:
        return {"type": "string", "pattern": f"^{_ZONE}$", "maxLength": _ZONE_LENGTH_MAX}


@dataclass(frozen=True, slots=True)
class CronText(Kind):
    """Five fields of cron."""

    def _check(self, value: Any) -> Any:
        if isinstance(value, str):
            if len(value) > _CRON_LENGTH_MAX or not re.fullmatch(r"[ -~]*", value):
                raise ValueError(f"{shown(value)} is no cron expression: write five fields, for example 0 8 * * 1-5")
            check_cron(value)
        return value

    def _json_schema(self) -> JsonSchemaValue:
        return {"type": "string", "pattern": r"^\S+( +\S+){4}$", "maxLength": _CRON_LENGTH_MAX}


def check_selector(text: str) -> None:
    """Raise ValueError unless a text is a label selector as kubectl takes it."""
    parts = re.split(r",(?![^()]*\))", text)
    wrong = next((part for part in parts if not _REQUIREMENT.fullmatch(part)), None)
    if len(text) > _PAIRS_LENGTH_MAX or wrong is not None:
        raise ValueError(
            f"{shown(wrong if wrong is not None else text)} is no label selector: write it as kubectl takes it,"
            " for example app=web,tier in (front,back)"
        )


@dataclass(frozen=True, slots=True)
class SelectorText(Kind):
    """A label selector as one text, as kubectl takes it."""

    def _check(self, value: Any) -> Any:
        if isinstance(value, str):
            check_selector(value)
        return value

    def _json_schema(self) -> JsonSchemaValue:
        return {"type": "string", "minLength": 1, "maxLength": _PAIRS_LENGTH_MAX}


@dataclass(frozen=True, slots=True)
class SizeText(Kind):
    """The name of a machine size: Azure's in full, another provider's as its catalogue has it."""

    def _check(self, value: Any) -> Any:
        if isinstance(value, str):
            short = _SHORT_SIZE.fullmatch(value) is not None and not value.startswith(_AZURE_PREFIX)
            if short or not _SIZE.fullmatch(value):
                raise ValueError(f"{shown(value)} is not a VM size: write it in full, for example Standard_DC4es_v6")
        return value

    def _json_schema(self) -> JsonSchemaValue:
        return {"type": "string", "pattern": f"^{_SIZE.pattern}$", "maxLength": 80}


def days_of(spans: tuple[str, ...]) -> tuple[int, ...]:
    """Return the days that spans such as ``Mon-Fri`` and ``Sun`` name, Monday 0 to Sunday 6, in order; a span may pass the week's end."""
    found: list[int] = []
    for span in spans:
        first, _, last = span.partition("-")
        start, end = _DAYS.index(first), _DAYS.index(last or first)
        found += [day % len(_DAYS) for day in range(start, (end if end >= start else end + len(_DAYS)) + 1)]
    return tuple(sorted(set(found)))


def _no_day_twice(spans: tuple[str, ...]) -> tuple[str, ...]:
    seen: list[int] = []
    for span in spans:
        days = days_of((span,))
        twice = next((day for day in days if day in seen), None)
        if twice is not None:
            raise ValueError(f"names {_DAYS[twice]} twice: remove one")
        seen += days
    return spans


_DAY: Final = f"({'|'.join(_DAYS)})"
DaySpan = Annotated[str, Matching(f"{_DAY}(-{_DAY})?", 7, 'a day or a span of days: write "Mon" or "Mon-Fri"')]
Days = Annotated[tuple[DaySpan, ...], Field(strict=False, min_length=1, max_length=7), AfterValidator(_no_day_twice)]
Url = Annotated[str, ServerUrl()]
Origins = Annotated[tuple[Annotated[str, Origin()], ...], Field(strict=False, max_length=64), AfterValidator(unique)]
Pairs = Annotated[str, KeyValues()]
Headers = Annotated[str, KeyValues(headers=True)]
Day = Annotated[str, IsoDate()]
TimeOfDay = Annotated[str, ClockTime()]
Zone = Annotated[str, ZoneText()]
Cron = Annotated[str, CronText()]
SelectorWords = Annotated[str, SelectorText()]
Size = Annotated[str, SizeText()]
Sizes = Annotated[tuple[Size, ...], Field(strict=False, max_length=64), AfterValidator(unique)]
#: nvidia.com/gpu, sgx.intel.com/epc, habana.ai/gaudi
ResourceName = Annotated[
    str,
    Matching(
        r"([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?",
        253,
        "a resource's name, for example nvidia.com/gpu",
    ),
]
Provider = Annotated[
    str, Matching(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", 63, "a provider's name: lower-case letters, digits and '-'")
]
#: data classes, jurisdictions: words that platform and tenant agree on
Word = Annotated[
    str, Matching(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", 63, "one word of letters, digits, '-', '_' and '.'")
]
Words = Annotated[tuple[Word, ...], Field(strict=False, max_length=32), AfterValidator(unique)]
DnsNames = Annotated[tuple[DnsName, ...], Field(strict=False, max_length=64), AfterValidator(unique)]
#: registry/repository, the part of an image before tag and digest
ImagePrefix = Annotated[
    str,
    Matching(
        r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?(:[0-9]{1,5})?(/[a-z0-9]([a-z0-9._-]*[a-z0-9])?)*/?",
        255,
        "the beginning of an image's name, registry first and without tag, for example registry.bank.example/fraud/",
    ),
]
