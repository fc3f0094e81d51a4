"""When a policy is in force.

Part of the schema of BurstPolicy; ``compile_window`` turns days and times into cron.
"""

from datetime import date
from typing import Annotated, Final

from pydantic import Field, model_validator

from burster.policy.expressions import same_times
from burster.policy.fields.texts import Cron, Day, Days, TimeOfDay, Zone, days_of
from burster.policy.refusals import Findings
from burster.policy.schema.base import Strict, ruled


_WHOLE_DAY: Final = ("00:00", "24:00")


class WindowSpec(Strict):
    """A recurring or dated span of time: days and times of day, or two times of cron, either within dates; or the dates alone."""

    model_config = ruled(
        (
            "has(self.start) == has(self.end)",
            "start and end belong together: give both or neither",
        ),
        (
            "has(self.from) == has(self.to)",
            "from and to belong together: give both or neither",
        ),
        (
            "!has(self.start) || (!has(self.from) && !has(self.days))",
            "start and end are cron and say the days themselves: days, from and to can't be given beside them",
        ),
        (
            "has(self.start) || has(self.from) || has(self.days) || has(self.firstDay) || has(self.lastDay)",
            "is open for ever: give days, from and to, start and end, or firstDay and lastDay",
        ),
        (
            "!has(self.firstDay) || !has(self.lastDay) || self.firstDay <= self.lastDay",
            "firstDay must not be after lastDay",
        ),
        ("!has(self.from) || !has(self.to) || self.from != self.to", "from and to must differ"),
        ("!has(self.start) || !has(self.end) || self.start != self.end", "start and end of a window must differ"),
    )

    name: Annotated[str, Field(min_length=1, max_length=63)] | None = Field(
        default=None, description="What reasons call it."
    )
    timezone: Zone = Field(description="The IANA time zone of its days and times: Europe/Berlin.")
    days: Days | None = Field(
        default=None, description="Days and spans of days: Mon-Fri, Sun. Every day where it is left out."
    )
    from_: TimeOfDay | None = Field(
        default=None, alias="from", description="When it opens, on each of the days: 08:00. With to."
    )
    to: TimeOfDay | None = Field(
        default=None, description="When it closes: 20:00. A time that is not after from is on the next day."
    )
    start: Cron | None = Field(default=None, description="When it opens, as five fields of cron. With end.")
    end: Cron | None = Field(default=None, description="When it closes, as five fields of cron.")
    first_day: Day | None = Field(default=None, description="The first day on which it can be open: 2026-11-27.")
    last_day: Day | None = Field(default=None, description="The last day on which it can be open.")

    @model_validator(mode="after")
    def _complete(self) -> "WindowSpec":
        wrong = Findings()
        for one, other, given, missing in (
            ("start", "end", self.start, self.end),
            ("from", "to", self.from_, self.to),
        ):
            if given is not None and missing is None:
                wrong.at(other, message=f"is required beside {one}: write when it closes")
            elif given is None and missing is not None:
                wrong.at(one, message=f"is required beside {other}: write when it opens")
        self._check_forms(wrong)
        if self.start is not None and self.end is not None and same_times(self.start, self.end):
            wrong.at(
                "end",
                message="is the same time as start, so that it never ends: write when it ends, or leave both out where days are enough",
            )
        if self.first_day and self.last_day and date.fromisoformat(self.first_day) > date.fromisoformat(self.last_day):
            wrong.at("lastDay", message=f"{self.last_day} is before firstDay {self.first_day}: swap or correct them")
        if self.from_ is not None and self.from_ == self.to:
            wrong.at(
                "to",
                message='is the same as from: for a whole day write from: "00:00" and to: "24:00", or leave both out',
            )
        elif self.from_ == "24:00":
            wrong.at("from", message='is the end of a day: write "00:00" on the next one')
        wrong.raise_any()
        return self

    def _check_forms(self, wrong: Findings) -> None:
        cron = self.start is not None or self.end is not None
        if cron:
            for name, value in (("days", self.days), ("from", self.from_), ("to", self.to)):
                if value is not None:
                    wrong.at(
                        name,
                        message="can't be given beside start and end, which are cron and say the days: remove one of the two",
                    )
        elif (
            not (self.first_day or self.last_day)
            and days_of(self.days or ()) in {(), tuple(range(7))}
            and (self.from_, self.to) in {(None, None), _WHOLE_DAY}
        ):
            wrong.at(message="is open for ever: give days, from and to, start and end, or firstDay and lastDay")


Windows = Annotated[tuple[WindowSpec, ...], Field(strict=False, max_length=32)]
