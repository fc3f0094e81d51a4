"""Limits, money and windows as the engine counts them. Called by ``compile_policy`` and ``compile_target``."""

from burster.model.limits import Budget, LaunchRate, Limits
from burster.model.quantities import parse_duration_ms, parse_micro_usd
from burster.model.windows import Window
from burster.policy.schema.limits import BudgetSpec, CapsSpec, LimitsSpec
from burster.policy.schema.windows import WindowSpec
from burster.policy.window_rules import from_days


def money(text: str | None) -> int | None:
    """Return micro-USD, or None for what was left out."""
    return None if text is None else parse_micro_usd(text)


def compile_limits(spec: LimitsSpec) -> Limits:
    """Return the limits of a policy or a target."""
    rate = spec.launch_rate
    return Limits(
        max_bursts=spec.max_bursts,
        max_vcpus=spec.max_vcpus,
        launch_rate=LaunchRate(count=rate.count, per_ms=parse_duration_ms(rate.per)) if rate else None,
        budget=_budget(spec.budget),
        provider_shares=dict(spec.provider_shares),
    )


def compile_caps(spec: CapsSpec) -> Limits:
    """Return the limits of one namespace at a target."""
    return Limits(max_bursts=spec.max_bursts, max_vcpus=spec.max_vcpus, budget=_budget(spec.budget))


def _budget(spec: BudgetSpec) -> Budget:
    return Budget(
        per_hour_micro_usd=money(spec.per_hour),
        per_day_micro_usd=money(spec.per_day),
        per_month_micro_usd=money(spec.per_month),
        timezone=spec.time_zone,
        warn_percent=spec.warn_at_percent,
        stop_percent=spec.stop_at_percent,
        drain_percent=spec.drain_at_percent,
    )


def compile_window(spec: WindowSpec) -> Window:
    """Return a window by its two times of cron; days and times of day become such."""
    if spec.start is not None:
        start, end = spec.start, spec.end or ""
    elif spec.days or spec.from_:
        start, end = from_days(spec.days or (), spec.from_ or "", spec.to or "")
    else:
        start = end = ""
    return Window(
        name=spec.name or "",
        timezone=spec.timezone,
        start=start,
        end=end,
        first_day=spec.first_day or "",
        last_day=spec.last_day or "",
    )
