"""Hard limits: how many, how fast, for how much money. Policies have them, targets, and namespaces at a target.

Part of the schema of both kinds; ``compile_limits`` turns them into the engine's integers.
"""

from typing import Annotated

from pydantic import Field, model_validator

from burster.policy.fields import DurationBetween, Usd
from burster.policy.fields.texts import Provider, Zone
from burster.policy.refusals import Findings
from burster.policy.schema.base import Strict, ruled


Share = Annotated[int, Field(ge=0, le=100)]


class BudgetSpec(Strict):
    """Hard limits of money in USD, per hour, day and month. Nothing starts unless its worst case fits into all of them."""

    model_config = ruled(
        ("self.warnAtPercent <= self.stopAtPercent", "warnAtPercent must not be above stopAtPercent"),
        (
            "!has(self.drainAtPercent) || self.stopAtPercent <= self.drainAtPercent",
            "drainAtPercent must not be below stopAtPercent: what runs comes home after new bursts have stopped",
        ),
    )

    per_hour: Usd | None = Field(default=None, description="USD per hour; no limit where it is left out.")
    per_day: Usd | None = Field(default=None, description="USD per day; no limit where it is left out.")
    per_month: Usd | None = Field(default=None, description="USD per month; no limit where it is left out.")
    time_zone: Zone = Field(default="UTC", description="The IANA time zone in which days and months begin.")
    warn_at_percent: int = Field(
        default=80, ge=1, le=100, description="From this part of a limit on people are told, once a window."
    )
    stop_at_percent: int = Field(
        default=100, ge=1, le=100, description="From this part of a limit on nothing new starts."
    )
    drain_at_percent: int | None = Field(
        default=None,
        ge=1,
        le=100,
        description="From this part of a limit on, counting what is spent, everything comes home; never where it is left out.",
    )

    @model_validator(mode="after")
    def _ordered(self) -> "BudgetSpec":
        wrong = Findings()
        if self.warn_at_percent > self.stop_at_percent:
            wrong.at(
                "warnAtPercent",
                message=f"{self.warn_at_percent} is above stopAtPercent {self.stop_at_percent}, so that nobody is warned in time: lower it",
            )
        if self.drain_at_percent is not None and self.drain_at_percent < self.stop_at_percent:
            wrong.at(
                "drainAtPercent",
                message=f"{self.drain_at_percent} is below stopAtPercent {self.stop_at_percent}: what runs would be sent home while new"
                " bursts still start; raise it, or lower stopAtPercent",
            )
        wrong.raise_any()
        return self


class LaunchRateSpec(Strict):
    """How fast cloud pods may be started."""

    count: int = Field(ge=1, le=10_000, description="How many launches.")
    per: Annotated[str, DurationBetween("1s", "24h")] = Field(default="1m", description="In how long a time at most.")


class CapsSpec(Strict):
    """What may be used at most at one time, and spent."""

    max_bursts: int | None = Field(
        default=None, ge=0, le=10_000, description="Cloud pods at one time; no limit where it is left out."
    )
    max_vcpus: int | None = Field(
        default=None, ge=0, le=1_000_000, description="vCPUs of cloud VMs at one time; no limit where it is left out."
    )
    budget: BudgetSpec = Field(default=BudgetSpec(), description="Limits of money.")


class LimitsSpec(CapsSpec):
    """What may be used at most at one time, how fast, and for how much money."""

    launch_rate: LaunchRateSpec | None = Field(
        default=None, description="How fast cloud pods may be started; no limit where it is left out."
    )
    provider_shares: Annotated[dict[Provider, Share], Field(max_length=16)] = Field(
        default={},
        description="The largest part in percent of the running vCPUs that a provider may have: {azure: 60}.",
    )
