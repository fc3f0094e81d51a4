"""How one controller is set up: read once from BURSTER_* variables, checked, frozen, then handed down as an argument.

The command line lays its flags over it. No other module reads the environment. A wrong value is one sentence that names the
variable, never a traceback.
"""

import os
import re
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import available_timezones

from pydantic import AfterValidator, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict
from pydantic_settings.exceptions import SettingsError

from burster.ledger import LedgerPlace, PostgresAddress, Rotation
from burster.model.errors import InputError
from burster.model.limits import Budget, Limits
from burster.model.quantities import parse_micro_usd
from burster.settings_sections import (
    ArmSettings,
    BatchSettings,
    ElectionSettings,
    ExecutorSettings,
    HttpSettings,
    KubeSettings,
    LedgerSettings,
    LogSettings,
    MetricSettings,
    OnPremSettings,
    Positive,
    PreflightSettings,
    PriceSettings,
    ReaperSettings,
    TickSettings,
    state_dir,
)


PREFIX = "BURSTER_"
_SERVICE_LINK = re.compile(
    r"BURSTER_(?:\w+_)?(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?|PORT(?:_\d+_(?:TCP|UDP|SCTP)(?:_\w+)?)?)"
)


def _money(text: str) -> str:
    parse_micro_usd(text)
    return text


def _zone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError("expected an IANA time zone such as Europe/Berlin")
    return name


def _micro_usd(text: str | None) -> int | None:
    return None if text is None else parse_micro_usd(text)


#: in USD: "12.50"
Money = Annotated[str, AfterValidator(_money)]


class Settings(BaseSettings):
    """Everything a controller is told from outside; nested values as ``BURSTER_HTTP__PORT``."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True, env_ignore_empty=True
    )

    cluster_id: Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")] = "onprem"
    namespace: Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")] = "burster-system"
    dry_run: bool = False
    ledger_path: Path = Field(default_factory=lambda: state_dir() / "ledger.sqlite")
    replicas: Positive = 1
    ledger: LedgerSettings = LedgerSettings()
    election: ElectionSettings = ElectionSettings()
    kube: KubeSettings = KubeSettings()
    arm: ArmSettings = ArmSettings()
    prices: PriceSettings = PriceSettings()
    metrics: MetricSettings = MetricSettings()
    batching: BatchSettings = BatchSettings()
    executor: ExecutorSettings = ExecutorSettings()
    http: HttpSettings = HttpSettings()
    ticks: TickSettings = TickSettings()
    preflight: PreflightSettings = PreflightSettings()
    log: LogSettings = LogSettings()
    reaper: ReaperSettings = ReaperSettings()
    namespace_max_policies: Annotated[int, Field(ge=1, le=10_000)] = 200
    onprem: OnPremSettings = OnPremSettings()
    cluster_max_bursts: Annotated[int, Field(ge=0)] | None = None
    cluster_max_vcpus: Annotated[int, Field(ge=0)] | None = None
    cluster_budget_per_hour: Money | None = None
    cluster_budget_per_day: Money | None = None
    cluster_budget_per_month: Money | None = None
    cluster_budget_time_zone: Annotated[str, AfterValidator(_zone)] = "UTC"

    @property
    def ledger_place(self) -> LedgerPlace:
        """Return where the ledger is kept, and for how long."""
        kept = self.ledger
        return LedgerPlace(
            path=self.ledger_path,
            address=PostgresAddress(url=kept.postgres, schema=kept.postgres_schema) if kept.postgres else None,
            dry_run=self.dry_run,
            rotation=Rotation(
                segment_bytes=kept.segment_mb * 1024**2,
                segment_ms=kept.segment_hours * 3_600_000,
                keep_segments=kept.keep_segments,
                keep_ms=kept.keep_days * 86_400_000,
            ),
        )

    @property
    def cluster_limits(self) -> Limits:
        """Return what all policies at all targets together may use at most."""
        budget = Budget(
            per_hour_micro_usd=_micro_usd(self.cluster_budget_per_hour),
            per_day_micro_usd=_micro_usd(self.cluster_budget_per_day),
            per_month_micro_usd=_micro_usd(self.cluster_budget_per_month),
            timezone=self.cluster_budget_time_zone,
        )
        return Limits(max_bursts=self.cluster_max_bursts, max_vcpus=self.cluster_max_vcpus, budget=budget)


def load_settings(**overrides: Any) -> Settings:
    """Return the settings: flags (``overrides``) over BURSTER_* variables over defaults. Raises InputError naming the variable."""
    _refuse_unknown()
    try:
        return _checked(Settings(**overrides))
    except SettingsError as error:
        raise InputError(f"{_section(error)} can't be read: {error.__cause__ or error}") from error
    except ValidationError as error:
        raise InputError("; ".join(_sentence(problem) for problem in error.errors())) from error


def _checked(settings: Settings) -> Settings:
    """Return them. Raises InputError where two of them contradict each other."""
    if settings.prices.url and settings.arm.cloud in {"china", "usgov"}:
        raise InputError(
            f"BURSTER_PRICES__URL is set, and the price list is of Azure's public cloud only, not of {settings.arm.cloud}: "
            "unset it, and write each target's own prices into it"
        )
    if settings.replicas > 1 and not settings.ledger.postgres:
        raise InputError(
            f"BURSTER_REPLICAS is {settings.replicas}, and the ledger is a file that only one replica has: "
            "set BURSTER_LEDGER__POSTGRES (see deploy/ha), or run one replica"
        )
    return settings


def _section(error: SettingsError) -> str:
    """Return the variable that holds a whole section and is no JSON."""
    named = re.search(r'field "(\w+)"', str(error))
    return f"{PREFIX}{named[1].upper()}" if named else "the settings"


def debug_wanted() -> bool:
    """Say whether BURSTER_DEBUG asks for tracebacks; never fails, so that it can be asked while handling any error."""
    return os.environ.get("BURSTER_DEBUG", "") not in {"", "0", "false", "no"}


def _refuse_unknown() -> None:
    """Refuse a variable with our prefix that sets nothing: a typing error in a limit must not be silent."""
    known = {PREFIX + name.upper() for name in Settings.model_fields} | {"BURSTER_DEBUG"}
    for name, value in sorted(os.environ.items()):
        if (
            name.startswith(PREFIX)
            and name.split("__", maxsplit=1)[0] not in known
            and not _is_service_link(name, value)
        ):
            listed = ", ".join(sorted(known - {"BURSTER_DEBUG"}))
            raise InputError(f"{name} sets nothing that burster knows: unset it, or use one of {listed}")


def _is_service_link(name: str, value: str) -> bool:
    """Say whether the kubelet put this here: each Service of the namespace, one named burster too, appears as variables."""
    return bool(_SERVICE_LINK.fullmatch(name)) and (
        name.endswith("SERVICE_PORT") or not name.endswith("_PORT") or "://" in value
    )


def _sentence(problem: Any) -> str:
    place = [str(part) for part in problem["loc"]]
    variable = PREFIX + "__".join(place).upper()
    if problem["type"] == "extra_forbidden":
        return f"{variable} sets nothing that burster knows: unset it"
    message = problem["msg"].removeprefix("Value error, ")
    shown = problem["input"]
    got = f" (it is {shown!r})" if isinstance(shown, str | int | float) else ""
    return f"{variable}: {message[:1].lower()}{message[1:]}{got}"
