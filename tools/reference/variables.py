"""The reference page of the settings, made from burster.settings."""

from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Any, Final, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from burster.settings import PREFIX, Settings
from tools.reference.tables import table


_INTRODUCTION: Final = """\
# Settings

Made by `make reference` from `burster/settings.py` and `settings_sections.py`; edit those, not this page.

A controller is set up by environment variables, read once at its start. A flag of `burster controller` goes before its variable, a variable
before the default; an empty variable counts as not set. A variable that begins with `BURSTER_` and is none of these is refused, so that a
typing error in a limit is never silent. What platform teams decide (workloads, limits, places) is not here but in
[policies and targets](policy.md).
"""
_DEFAULTS: Final = {
    "ledger_path": "`ledger.sqlite` in `$XDG_STATE_HOME/burster`, or `~/.local/state/burster`",
    "prices.cache_dir": "`prices` in `$XDG_CACHE_HOME/burster`, or `~/.cache/burster`",
}
_MEANINGS: Final = {
    "cluster_id": "The cluster's name, a DNS label. Kept for what tells several clusters apart; nothing reads it yet.",
    "namespace": "burster's own namespace: the Lease of the acting replica is here, and targets' initdata.",
    "replicas": "How many replicas the Deployment asks for. More than one without `BURSTER_LEDGER__POSTGRES` is refused.",
    "ledger.postgres": "The ledger in PostgreSQL instead of a file: `postgresql://USER@HOST:PORT/DATABASE?sslmode=verify-full`. No "
    "password in it: libpq takes that from `PGPASSFILE` or `PGPASSWORD`.",
    "ledger.postgres_schema": "The ledger's name within the database; several clusters may share one.",
    "ledger.segment_mb": "How large a segment of the ledger may grow before it is sealed; 0: any size.",
    "ledger.segment_hours": "How old it may get before that; 0: any age.",
    "ledger.keep_segments": "How many sealed segments are kept; 0: all.",
    "ledger.keep_days": "For how long a sealed segment is kept; 0: for ever. What budgets need is kept in any case.",
    "election.lease_ms": "How long the Lease holds after its last renewal: after so long a silence another replica leads.",
    "election.renew_ms": "A leader that could not renew for so long stops at once; less than the Lease holds.",
    "election.retry_ms": "How often the Lease is renewed.",
    "namespace_max_policies": "BurstPolicies of one namespace that count; those beyond are refused (`TooManyPolicies`).",
    "cluster_max_bursts": "Cloud pods of all policies at all targets at one time; empty: no limit.",
    "cluster_max_vcpus": "vCPUs of cloud VMs at one time; empty: no limit.",
    "cluster_budget_per_hour": "What all of it may cost in an hour, in USD; empty: no limit.",
    "cluster_budget_per_day": "The same for a day.",
    "cluster_budget_per_month": "The same for a month.",
    "cluster_budget_time_zone": "Where those days and months begin, an IANA name.",
    "dry_run": "Decide, record and explain; change nothing.",
    "ledger_path": "Where the ledger is: an SQLite file, made where there is none. Give it a volume of its own. Dumps of the state "
    "(SIGUSR2) are written to `dumps` beside it, also where the ledger is in PostgreSQL.",
    "kube.kubeconfig": "A kubeconfig's path.",
    "kube.context": "A context of the kubeconfig.",
    "kube.in_cluster": "Use the pod's own service account.",
    "arm.cloud": "Which Azure: that decides where ARM is, where to log in, what tokens are for ([more](../azure.md#clouds-and-proxies)).",
    "arm.base_url": "Azure Resource Manager; empty: the cloud's. Plain http is refused, except for a stand-in on this machine's loopback.",
    "arm.authority": "Where one logs in; empty: the cloud's.",
    "arm.audience": "What tokens are for; empty: the cloud's, or `BASE_URL` where that is set.",
    "arm.auth": "How to log in, this way only ([which needs what](../azure.md#identity)). `none` is for a stand-in on loopback.",
    "arm.client_id": "Which identity; empty: the only one, or the one that Azure's webhook names.",
    "arm.tenant_id": "The identity's directory; empty: the one that Azure's webhook names.",
    "arm.client_secret_file": "The file that holds the secret of an app registration.",
    "arm.client_certificate_file": "The file that holds key and certificate of an app registration, in PEM.",
    "arm.ca_file": "An authority to trust besides the usual ones, in PEM: that of a proxy that opens TLS.",
    "arm.request_timeout_ms": "How long to wait for one answer.",
    "arm.patience_ms": "How long one call may wait for its turn and between attempts in all.",
    "arm.poll_interval_ms": "How often to look whether something that is deleted is gone, where ARM doesn't say.",
    "prices.url": "Azure's retail price list (`https://prices.azure.com`); empty: the dated copy that comes with burster, however old.",
    "prices.max_age_days": "How old a price list may be that anything is launched by (`PricesTooOld`), where one has to be had from "
    "`BURSTER_PRICES__URL`; 0: any age.",
    "prices.cache_dir": "Where the last good lists are kept; `-`: nowhere.",
    "metrics.networks": "Networks in which triggers may be read, with commas between (`10.20.0.0/16,fd12::/32`), besides what targets' "
    "`allowedMetricEndpoints` say; empty: any but this machine's own, which has to be named (`127.0.0.0/8`). Never read are addresses at "
    "which machines get credentials, and the API server's.",
    "batching.max_delay_ms": "How long facts that come while writes are under way may wait to be decided together.",
    "batching.max_stimuli": "How many facts one step takes at most.",
    "executor.concurrency": "How many instructions are carried out at one time.",
    "http.host": "Where probes, metrics and the status page listen.",
    "http.port": "Their port; 0 takes a free one.",
    "http.questions": "Who may ask for decisions and spend (`/v1`): `token`: who shows a token for the audience "
    "`burster` and may list Bursts; `open`: who reaches the port.",
    "ticks.evaluate_ms": "How often time alone is looked at.",
    "ticks.gc_ms": "How often the cloud is listed and compared with the records.",
    "ticks.offerings_ms": "How often sizes and prices are read.",
    "ticks.preflight_ms": "How often every target is checked ([what](../doctor.md)).",
    "preflight.namespaces": "Where cloud-api-adaptor is looked for, the first that has it, with commas between.",
    "preflight.config_map": "What its ConfigMap is called.",
    "preflight.daemon_sets": "What its DaemonSet is called, with commas between.",
    "preflight.ca_file": "An authority to trust besides the usual ones when a Trustee is asked, in PEM.",
    "preflight.keep_ms": "How long a check counts on that can't be made again; after that, what is about confidentiality blocks.",
    "ticks.quota_ms": "How often quota is read.",
    "onprem.pods_max": "Up to how many pods in the whole cluster those on nodes are followed, to know what is asked of nodes.",
    "onprem.prometheus": "The Prometheus that is asked for it in larger clusters; empty: it is not known there "
    "([why](../metrics.md#what-nodes-are-asked-for)).",
    "onprem.token_file": "The file of the bearer token that is shown to it, read anew each time.",
    "onprem.ca_file": "The file of the authority that it is trusted by; empty: the system's.",
    "reaper.mode": "Whether `burster reaper` only tells what may go (`report`), or ends it (`delete`).",
    "reaper.api": "`none`: there is no cluster any more, and the reaper goes by the cloud alone, at once.",
    "reaper.targets": "A file or folder of BurstTargets that the reaper looks after; empty: the cluster's.",
    "reaper.grace_ms": "How long after its lease, or since it was first seen, something is left alone; also how long the API server must"
    " have been away before the cloud's facts alone count.",
    "reaper.max_age_ms": "At which age a pod's VM ends of which only the cloud tells; 0: at none.",
    "reaper.interval_ms": "How often the reaper looks.",
    "reaper.per_round": "How many things it ends each time at most.",
    "reaper.skew_max_ms": "By how much its clock and the cloud's may differ before it ends nothing.",
    "log.level": "How much is logged.",
    "log.format": "JSON lines for machines, or readable ones.",
}


def settings_page() -> str:
    """Return the page as Markdown. Raises KeyError for a setting whose meaning is not written down here."""
    rows = [
        (f"`{PREFIX}{path.upper().replace('.', '__')}`", _kind(field), _default(path, field), _MEANINGS[path])
        for path, field in _fields(Settings, "")
    ]
    rows.append(("`BURSTER_DEBUG`", "boolean", "", "Show the traceback behind an error's sentence; for every command."))
    return f"{_INTRODUCTION}\n{table(('variable', 'type', 'default', 'meaning'), rows)}"


def _fields(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, FieldInfo]]:
    for name, field in model.model_fields.items():
        annotation: Any = field.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield from _fields(annotation, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", field


def _kind(field: FieldInfo) -> str:
    annotation: Any = field.annotation
    if get_origin(annotation) is Literal:
        return " or ".join(f"`{each}`" for each in get_args(annotation))
    inner = [each for each in get_args(annotation) if each is not type(None)]
    if get_origin(annotation) in {Union, UnionType}:
        # an Annotated within a union keeps its bounds to itself
        annotation = inner[0]
        text = getattr(annotation, "__origin__", annotation) is not int
        return "USD" if text else "whole number, 0 or more"
    if annotation is int:
        return "whole number" + _bounds(field)
    return {bool: "boolean", str: "text", Path: "path"}[annotation]


def _bounds(field: FieldInfo) -> str:
    low = next((each.ge for each in field.metadata if isinstance(each, Ge)), None)
    above = next((each.gt for each in field.metadata if isinstance(each, Gt)), None)
    high = next((each.le for each in field.metadata if isinstance(each, Le)), None)
    if high is not None:
        return f", {low} to {high}"
    return f", above {above}" if above is not None else ""


def _default(path: str, field: FieldInfo) -> str:
    if path in _DEFAULTS:
        return _DEFAULTS[path]
    value = field.default
    if value in ("", None):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"
