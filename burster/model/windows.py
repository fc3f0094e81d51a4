"""When a policy is in force."""

import msgspec


class Window(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A recurring or a dated span of time in a zone.

    Open where the next ``end`` is no later than the next ``start`` (five-field cron, as KEDA's cron trigger has it); without the two, all
    day. ``first_day`` and ``last_day`` (ISO dates, both included, in the zone) bound it where they are set.
    """

    name: str = ""
    timezone: str
    start: str = ""
    end: str = ""
    first_day: str = ""
    last_day: str = ""
