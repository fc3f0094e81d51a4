"""Hard limits: how many, how fast, and for how much money. A policy has them, a target, a namespace at a target, and the cluster."""

import msgspec


class Budget(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Hard limits in micro-USD per hour, day and month of ``timezone``; None: no limit of that kind.

    What happens on the way to the limit, in percent of it: ``warn_percent`` of what is spent and reserved tells people once a window,
    from ``stop_percent`` nothing new starts, and from ``drain_percent`` of what is *spent* everything of the scope comes home (None:
    never; leases that can't be renewed end it all the same).
    """

    per_hour_micro_usd: int | None = None
    per_day_micro_usd: int | None = None
    per_month_micro_usd: int | None = None
    timezone: str = "UTC"  #: IANA name: where days and months begin
    warn_percent: int = 80
    stop_percent: int = 100
    drain_percent: int | None = None


class LaunchRate(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """At most ``count`` launches in any ``per_ms``."""

    count: int
    per_ms: int


class Limits(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a scope may use at most; None: no limit of that kind."""

    max_bursts: int | None = None
    max_vcpus: int | None = None
    launch_rate: LaunchRate | None = None
    budget: Budget = Budget()
    #: provider -> the largest share of the scope's running vCPUs in percent that may be there (concentration)
    provider_shares: dict[str, int] = {}
