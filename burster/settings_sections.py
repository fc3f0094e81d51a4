"""The sections of a controller's settings: what each of them may say, and what can't be true together in one.

Put together and read by burster.settings, where everybody else takes them from. Nothing here reads the environment, but where a user's
folders are.
"""

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, model_validator

from burster.clients.arm_settings import ArmSettings as ClientArmSettings
from burster.clients.arm_settings import Auth, CloudName, check_way
from burster.clients.price_settings import DAY_MS, HOUR_MS
from burster.clients.price_settings import PriceSettings as ClientPriceSettings
from burster.ledger import PostgresAddress
from burster.model.addresses import networks_of
from burster.model.errors import InputError


_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_OBJECT_NAME = re.compile(r"[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?")

Positive = Annotated[int, Field(gt=0)]


def check_url(text: str) -> Any:
    """Return the parts of an http(s) address. Raises ValueError where it is none."""
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"{text!r} is no http or https address")
    if parts.username or parts.password:
        raise ValueError("an address must not carry a password: it would end up in logs")
    return parts


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class KubeSettings(_Section):
    """Which cluster, and as whom. All empty: the usual kubeconfig."""

    kubeconfig: str = ""
    context: str = ""
    in_cluster: bool = False

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        if self.in_cluster and (self.kubeconfig or self.context):
            raise ValueError(
                "in_cluster uses the pod's own account: leave kubeconfig and context empty, or set it to false"
            )
        return self


class ArmSettings(_Section):
    """Azure Resource Manager: which cloud, and as whom. ``auth`` none is for a stand-in on this machine only.

    A secret is read from a file that a Secret is mounted at, never from a variable. ``base_url``, ``authority`` and ``audience`` are the
    cloud's where they are empty, and one's own where ``cloud`` is custom.
    """

    cloud: CloudName = "public"
    base_url: str = ""
    authority: str = ""
    audience: str = ""
    auth: Auth = "workload-identity"
    client_id: str = ""
    tenant_id: str = ""
    client_secret_file: str = ""
    client_certificate_file: str = ""
    ca_file: str = ""
    request_timeout_ms: Annotated[int, Field(ge=1_000, le=120_000)] = 20_000
    patience_ms: Annotated[int, Field(ge=0, le=300_000)] = 30_000
    poll_interval_ms: Annotated[int, Field(ge=100, le=60_000)] = 5_000

    @model_validator(mode="after")
    def _no_secret_in_the_clear(self) -> Self:
        for url in (self.base_url, self.authority, self.audience):
            if url:
                check_url(url)
        try:
            check_way(self.for_client())
        except InputError as error:
            raise ValueError(str(error)) from None
        return self

    def for_client(self) -> ClientArmSettings:
        """Return what the client is made of."""
        return ClientArmSettings(**self.model_dump())


class PriceSettings(_Section):
    """Where retail prices come from; empty: the dated copy that comes with burster, by choice and however old.

    Lists are kept under ``cache_dir`` (empty: burster's folder in the XDG cache directory, ``-``: nowhere). One that is older than
    ``max_age_days`` is not launched by; 0: any age will do.
    """

    url: str = ""
    max_age_days: Annotated[int, Field(ge=0, le=3_650)] = 7
    cache_dir: str = ""

    @model_validator(mode="after")
    def _is_a_url(self) -> Self:
        if self.url:
            check_url(self.url)
        if self.cache_dir not in {"", "-"} and not Path(self.cache_dir).is_absolute():
            raise ValueError("cache_dir is no absolute path: write one, or - for none")
        return self

    def for_client(self) -> ClientPriceSettings:
        """Return what the client is made of."""
        folder = "" if self.cache_dir == "-" else self.cache_dir or str(cache_dir() / "prices")
        return ClientPriceSettings(
            base_url=self.url, max_age_ms=self.max_age_days * DAY_MS, fresh_ms=6 * HOUR_MS, cache_folder=folder
        )


class MetricSettings(_Section):
    """At which addresses triggers may be read, besides what targets allow: networks with commas between; empty: any but this machine's."""

    networks: str = ""

    @model_validator(mode="after")
    def _are_networks(self) -> Self:
        networks_of(self.networks)
        return self


class BatchSettings(_Section):
    """How long events may wait to be decided together, and how many at most."""

    max_delay_ms: Annotated[int, Field(ge=0, le=10_000)] = 200
    max_stimuli: Annotated[int, Field(ge=1, le=100_000)] = 5_000


class ExecutorSettings(_Section):
    """How many instructions are under way at most."""

    concurrency: Annotated[int, Field(ge=1, le=256)] = 16


class HttpSettings(_Section):
    """Where the status page, metrics and probes listen; port 0 takes a free one."""

    host: str = "0.0.0.0"
    port: Annotated[int, Field(ge=0, le=65_535)] = 8080
    questions: Literal["token", "open"] = "token"


class TickSettings(_Section):
    """How often each recurring tick is posted."""

    evaluate_ms: Positive = 15_000
    gc_ms: Positive = 120_000
    offerings_ms: Positive = 43_200_000
    preflight_ms: Positive = 300_000
    quota_ms: Positive = 600_000


class PreflightSettings(_Section):
    """Where cloud-api-adaptor is looked for (lists, commas between), and how long an answer holds that can't be asked for again."""

    namespaces: str = "confidential-containers-system,openshift-sandboxed-containers-operator"
    config_map: str = "peer-pods-cm"
    daemon_sets: str = "cloud-api-adaptor-daemonset,osc-caa-ds"
    ca_file: str = ""
    keep_ms: Annotated[int, Field(ge=0, le=86_400_000)] = 900_000

    @model_validator(mode="after")
    def _name_objects(self) -> Self:
        for name, text in (
            ("namespaces", self.namespaces),
            ("config_map", self.config_map),
            ("daemon_sets", self.daemon_sets),
        ):
            for part in text.split(","):
                if not _OBJECT_NAME.fullmatch(part.strip()):
                    raise ValueError(f"{name}: {part.strip()!r} is no name of a Kubernetes object")
        return self


class LedgerSettings(_Section):
    """Where several replicas keep the ledger together, and how long its parts are kept; 0: no bound."""

    postgres: str = ""
    postgres_schema: str = "burster"
    segment_mb: Annotated[int, Field(ge=0, le=100_000)] = 256
    segment_hours: Annotated[int, Field(ge=0, le=100_000)] = 720
    keep_segments: Annotated[int, Field(ge=0, le=100_000)] = 15
    keep_days: Annotated[int, Field(ge=0, le=100_000)] = 400

    @model_validator(mode="after")
    def _is_an_address(self) -> Self:
        if self.postgres:
            PostgresAddress(url=self.postgres, schema=self.postgres_schema)
        return self


class ElectionSettings(_Section):
    """The Lease that the acting replica holds: how long it lasts, when a leader that can't renew it stops, how often it is renewed."""

    lease_ms: Annotated[int, Field(ge=1_000, le=300_000)] = 15_000
    renew_ms: Annotated[int, Field(ge=500)] = 10_000
    retry_ms: Annotated[int, Field(ge=100)] = 2_000

    @model_validator(mode="after")
    def _leave_room(self) -> Self:
        if self.lease_ms - self.renew_ms < self.retry_ms:
            raise ValueError(
                "lease_ms must exceed renew_ms by retry_ms at least: a leader has to stop before anybody follows"
            )
        if self.renew_ms < 2 * self.retry_ms:
            raise ValueError("renew_ms must be twice retry_ms at least: one lost request must not end a lead")
        return self


class OnPremSettings(_Section):
    """What the pods on nodes ask for: up to how many pods they are followed themselves, and which Prometheus is asked beyond that."""

    pods_max: Annotated[int, Field(ge=0, le=1_000_000)] = 5_000
    prometheus: str = ""
    token_file: str = ""
    ca_file: str = ""

    @model_validator(mode="after")
    def _is_a_place(self) -> Self:
        if not self.prometheus:
            return self
        host = check_url(self.prometheus).hostname
        if self.token_file and self.prometheus.startswith("http:") and host not in _LOOPBACK:
            raise ValueError("prometheus is plain http, and a token must not be sent in the clear: use https")
        return self


class ReaperSettings(_Section):
    """The reaper (`burster reaper`), a process of its own: what it may do, and how patient it is.

    ``targets``: a file or folder of BurstTargets, for where there is no API server; empty: the cluster's. ``api`` none: there is no cluster
    any more. ``max_age_ms``: at which age a pod's VM ends of which the cloud alone tells; 0: at none.
    """

    mode: Literal["report", "delete"] = "report"
    api: Literal["kubernetes", "none"] = "kubernetes"
    targets: str = ""
    grace_ms: Annotated[int, Field(ge=60_000, le=86_400_000)] = 600_000
    max_age_ms: Annotated[int, Field(ge=0, le=31_536_000_000)] = 0
    interval_ms: Annotated[int, Field(ge=10_000, le=3_600_000)] = 60_000
    per_round: Annotated[int, Field(ge=1, le=1_000)] = 10
    skew_max_ms: Annotated[int, Field(ge=1_000, le=3_600_000)] = 120_000

    @model_validator(mode="after")
    def _bear_the_skew(self) -> Self:
        if self.skew_max_ms * 2 > self.grace_ms:
            raise ValueError(
                "grace_ms must be twice skew_max_ms at least: else a clock that is off ends what is leased"
            )
        if self.max_age_ms and self.max_age_ms < self.grace_ms:
            raise ValueError("max_age_ms must not be below grace_ms")
        if self.api == "none" and not self.targets:
            raise ValueError("api none leaves nobody to ask for targets: name a file of BurstTargets in targets")
        return self


class LogSettings(_Section):
    """How much is logged, and for whom."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["json", "console"] = "json"


def cache_dir() -> Path:
    """Return burster's folder under the XDG cache directory: what can be had again lives there."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    # the XDG specification has relative paths ignored
    return (Path(base) if base and Path(base).is_absolute() else Path.home() / ".cache") / "burster"


def state_dir() -> Path:
    """Return burster's folder under the XDG state directory: ledgers and runs live there."""
    base = os.environ.get("XDG_STATE_HOME", "")
    # the XDG specification has relative paths ignored
    root = Path(base) if base.startswith("/") else Path.home() / ".local" / "state"
    return root / "burster"
