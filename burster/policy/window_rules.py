"""What may be written as a window, and how days and times become the two cron expressions that a window is.

Called at load by the policy language, and by ``windows`` before it evaluates. Judges text; knows nothing of the present time.
"""

import re
from datetime import date, datetime
from difflib import get_close_matches
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

from burster.model.windows import Window


_ZONE_NAME: Final = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*")
_NO_ZONES: Final = frozenset({"localtime", "posixrules", "Factory"})  # another thing on every machine, or none
_CRON_FIELDS: Final = 5
_CRON_FIELD: Final = re.compile(r"[0-9A-Za-z*?]+([,/-][0-9A-Za-z*?]+)*")
_CRON_WORD: Final = re.compile(r"[A-Za-z]+")
_CRON_NAMES: Final = frozenset(
    {"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"}
    | {"JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"}
)
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_YEARS: Final = range(1970, 9000)
#: A leap year's first day: from here on every date there is comes within eight years.
_SOME_DAY: Final = datetime(2096, 1, 1)  # noqa: DTZ001 - a wall time has no zone


@lru_cache(maxsize=1024)
def zone_of(name: str) -> ZoneInfo:
    """Return a zone by its IANA name, or raise ValueError."""
    if _ZONE_NAME.fullmatch(name) and name not in _NO_ZONES:
        try:
            return ZoneInfo(name)
        except (OSError, ValueError, KeyError):
            pass  # told below
    # abbreviations are of no use here: CEST is nearest to EST, which is another continent's
    places = sorted(zone for zone in available_timezones() if "/" in zone)
    close = [] if name.isupper() else get_close_matches(name, places, n=1, cutoff=0.6)
    meant = f": did you mean {close[0]}?" if close else ": write an IANA name like Europe/Berlin."
    raise ValueError(f"{name or 'An empty name'} is no time zone{meant}")


def check_window(window: Window) -> None:
    """Raise ValueError unless the window is one: a zone that exists, two cron expressions or none, dates in order."""
    zone_of(window.timezone)
    if bool(window.start) != bool(window.end):
        there, missing = ("start", "end") if window.start else ("end", "start")
        raise ValueError(f"{there} without {missing}: a window needs both, or neither.")
    for name, text in (("start", window.start), ("end", window.end)):
        if text:
            check_cron(text, name)
    # the schema refuses other spellings of one time too, with the place; here is what can't be evaluated
    if window.start and plain_cron(window.start).upper() == plain_cron(window.end).upper():
        raise ValueError("start and end are the same time: a window must end at another than it starts.")
    first, last = (
        check_day(day, name) if day else None
        for day, name in ((window.first_day, "firstDay"), (window.last_day, "lastDay"))
    )
    if first is not None and last is not None and last < first:
        raise ValueError(f"lastDay {window.last_day} is before firstDay {window.first_day}.")
    if not (window.start or window.first_day or window.last_day):
        raise ValueError(
            "A window needs days or times, start and end, or firstDay or lastDay: this one is always open."
        )


_RANGES: Final = {
    "minute": ": write 0 to 59",
    "hour": ": write 0 to 23",
    "day-of-month": ": write a day that the month has, 1 to 31",
    "month": ": write 1 to 12, or JAN to DEC",
    "day-of-week": ": write 0 to 7 or SUN to SAT, the earlier day first",
}


def check_cron(text: str, name: str) -> None:
    """Raise ValueError unless the text is a five-field cron expression that ever happens; ``name`` is the field's."""
    fields = text.split()
    if text.startswith("@"):
        raise ValueError(f"{name} {text} is a short form: write the five fields, as in 0 8 * * 1-5.")
    if len(fields) != _CRON_FIELDS:
        raise ValueError(f"{name} {text!r} has {len(fields)} fields: cron has five (minute hour day month weekday).")
    for field in fields:
        words = _CRON_WORD.findall(field)
        if not _CRON_FIELD.fullmatch(field) or any(word.upper() not in _CRON_NAMES for word in words):
            raise ValueError(f"{name} {text!r}: {field} is no cron field; take numbers, names like MON, and * , - /.")
    try:
        happens = next(CronSim(plain_cron(text), _SOME_DAY), None)
    except CronSimError as error:
        what = str(error).removeprefix("Bad ")
        raise ValueError(f"{name} {text!r}: its {what} is none, or out of range{_RANGES.get(what, '')}.") from None
    if happens is None:
        raise ValueError(f"{name} {text!r} never happens.")


def plain_cron(cron: str) -> str:
    """Return a cron expression in the library's words: ``?`` is another ``*``."""
    return " ".join(cron.replace("?", "*").split())


def same_times(one: str, other: str) -> bool:
    """Say whether two valid cron expressions happen at the same times, however they are written: ``7`` and ``SUN`` are one day."""
    return _times(one) == _times(other)


def _times(cron: str) -> tuple[object, ...]:
    made = CronSim(plain_cron(cron), _SOME_DAY)
    weekdays = {day % _WEEK if isinstance(day, int) else day for day in made.weekdays}
    return made.minutes, made.hours, made.days, made.months, weekdays, made.day_and


def check_day(text: str, name: str) -> date:
    """Return a day such as ``2026-11-30``. Raises ValueError where it is none, or beyond what windows can reckon with."""
    try:
        day = date.fromisoformat(text) if _DAY.fullmatch(text) else None
    except ValueError:
        day = None
    if day is None:
        raise ValueError(f"{name} {text} is no date: write it like 2026-11-30.")
    if day.year not in _YEARS:
        raise ValueError(f"{name} {text} is too far away: take a year from {_YEARS[0]} to {_YEARS[-1]}.")
    return day


_DAY_NAMES: Final = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_TIME: Final = re.compile(r"(\d{1,2}):(\d{2})", re.ASCII)
_DAY_MINUTES: Final = 1440
_WEEK: Final = 7


def from_days(days: tuple[str, ...], from_: str, to: str) -> tuple[str, str]:
    """Return start and end as cron expressions for a time on days of the week; both empty where that is always.

    ``days`` are names (Mon, monday) and ranges (Mon-Fri, Sat-Mon); none: every day. ``from_`` and ``to`` are times like 08:00, ``to`` up
    to 24:00; where it is not later than ``from_`` it is the next day's. Neither: the whole day. Raises ValueError.
    """
    numbers = sorted({number for text in days for number in _day_range(text)}) if days else list(range(_WEEK))
    if bool(from_) != bool(to):
        there, missing = ("from", "to") if from_ else ("to", "from")
        raise ValueError(f"{there} without {missing}: times need both, or neither.")
    begin = _minutes(from_, "from", _DAY_MINUTES - 1) if from_ else 0
    finish = _minutes(to, "to", _DAY_MINUTES) if to else _DAY_MINUTES
    if begin == finish:
        raise ValueError(f"from and to are both {from_}: for the whole day leave both out, or write 00:00 and 24:00.")
    if begin == 0 and finish == _DAY_MINUTES and len(numbers) == _WEEK:
        return "", ""
    shift = 1 if finish < begin or finish == _DAY_MINUTES else 0
    finish %= _DAY_MINUTES
    ends = sorted((number + shift) % _WEEK for number in numbers)
    return _cron(begin, numbers), _cron(finish, ends)


def _cron(minutes: int, days: list[int]) -> str:
    if len(days) == _WEEK:
        weekdays = "*"
    else:
        runs: list[list[int]] = []
        for day in days:
            if runs and day == runs[-1][-1] + 1:
                runs[-1].append(day)
            else:
                runs.append([day])
        weekdays = ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
    return f"{minutes % 60} {minutes // 60} * * {weekdays}"


def _day_range(text: str) -> list[int]:
    first, dash, last = text.partition("-")
    begin = _day_number(first, text)
    end = _day_number(last, text) if dash else begin
    return [(begin + step) % _WEEK for step in range((end - begin) % _WEEK + 1)]


def _day_number(name: str, text: str) -> int:
    wanted = name.strip().lower()
    for number, full in enumerate(_DAY_NAMES):
        if wanted in {full, full[:3]}:
            return number
    raise ValueError(f"{text} names no days: write Mon, Tue, Wed, Thu, Fri, Sat, Sun, or a range like Mon-Fri.")


def _minutes(text: str, name: str, most: int) -> int:
    match = _TIME.fullmatch(text)
    minutes = int(match[1]) * 60 + int(match[2]) if match and int(match[2]) < 60 else most + 1  # noqa: PLR2004 - minutes of an hour
    if minutes > most:
        latest = "24:00" if most == _DAY_MINUTES else "23:59"
        raise ValueError(f"{name} {text} is no time: write it from 00:00 to {latest}.")
    return minutes
