"""What must be installed in the cluster, whatever the target: burster's own kinds, PeerPod records, the webhook.

Called by ``examine``. A kind is outdated where it lacks a field of this version: the API server would drop what is written in it.
"""

from collections.abc import Iterator
from functools import cache
from typing import Any, Final, cast

import msgspec

from burster.model.errors import RemoteError
from burster.policy.crds import crds
from burster.sources.preflight import catalogue as c
from burster.sources.preflight.findings import Findings
from burster.sources.preflight.objects import PeerPod, WebhookConfiguration, read_all
from burster.sources.preflight.words import listed
from burster.sources.preflight.world import World


_WEBHOOK: Final = "mwebhook.peerpods.io"
_CRDS_PATH: Final = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_PEER_PODS_PATH: Final = "/apis/confidentialcontainers.org/v1alpha1/peerpods"
_WEBHOOKS_PATH: Final = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
_DEPTH_MAX: Final = 32


async def check_own_kinds(world: World, found: Findings) -> None:
    """Compare burster's CustomResourceDefinitions with those of this version, field by field."""
    with found.asking(c.CRDS):
        missing: list[str] = []
        lacking: list[str] = []
        newer: list[str] = []
        for _, wanted in sorted(_own_kinds().items()):
            full = f"{wanted['spec']['names']['plural']}.{wanted['spec']['group']}"
            there = await _definition(world, full)
            if there is None:
                missing.append(full)
                continue
            ours, theirs = set(_fields(wanted)), set(_fields(there))
            lacking += sorted(f"{wanted['spec']['names']['kind']} {field}" for field in ours - theirs)
            newer += sorted(f"{wanted['spec']['names']['kind']} {field}" for field in theirs - ours)
        if missing:
            found.problem(c.CRDS, f"Not installed: {listed(missing)}.")
        elif lacking:
            found.problem(c.CRDS, f"Of another version: they do not know {listed(lacking)}.")
        elif newer:
            found.warning(
                c.CRDS,
                f"Of a newer version: this one does not know {listed(newer)}.",
                "Run the version of burster that they belong to.",
            )
        else:
            found.ok(c.CRDS, "BurstTarget, BurstPolicy and Burst, as this version has them.")


async def check_peer_pod_kind(world: World, found: Findings) -> None:
    """See whether PeerPod records can be listed."""
    with found.asking(c.PEER_POD_KIND):
        try:
            await read_all(world.api, _PEER_PODS_PATH, PeerPod, most=1)
        except RemoteError as error:
            if error.kind != "NotFound":
                raise
            found.problem(c.PEER_POD_KIND, "The cluster knows no peerpods.confidentialcontainers.org.")
        else:
            found.ok(c.PEER_POD_KIND, "peerpods.confidentialcontainers.org can be listed.")


async def check_webhook(world: World, found: Findings) -> None:
    """Look for the webhook among all that there are: what its configuration is called differs."""
    with found.asking(c.WEBHOOK):
        for one in await read_all(world.api, _WEBHOOKS_PATH, WebhookConfiguration):
            if any(webhook.name == _WEBHOOK for webhook in one.webhooks or ()):
                found.ok(c.WEBHOOK, f"{_WEBHOOK}, in {one.metadata.name}.")
                return
        found.problem(c.WEBHOOK, f"No MutatingWebhookConfiguration has a webhook {_WEBHOOK}.")


@cache
def _own_kinds() -> dict[str, dict[str, Any]]:
    return crds()


async def _definition(world: World, name: str) -> dict[str, Any] | None:
    try:
        body = await world.api.get(f"{_CRDS_PATH}/{name}")
    except RemoteError as error:
        if error.kind == "NotFound":
            return None
        raise
    try:
        return cast("dict[str, Any]", msgspec.json.decode(body, type=dict))
    except msgspec.DecodeError as error:
        raise RemoteError("Protocol", f"CustomResourceDefinition {name} makes no sense: {error}") from None


def _fields(definition: dict[str, Any]) -> Iterator[str]:
    """Yield the path of every field of the version that is stored."""
    versions: Any = _in(definition, "spec", "versions")
    for version in cast("list[Any]", versions if isinstance(versions, list) else []):
        if _in(version, "storage"):
            yield from _below(_in(version, "schema", "openAPIV3Schema"), "", 0)


def _in(value: Any, *path: str) -> Any:
    """Return what is at a path, None where there is nothing."""
    for name in path:
        value = cast("dict[str, Any]", value).get(name) if isinstance(value, dict) else None
    return value


def _below(schema: Any, path: str, depth: int) -> Iterator[str]:
    if not isinstance(schema, dict) or depth > _DEPTH_MAX:
        return
    whole = cast("dict[str, Any]", schema)
    properties: Any = whole.get("properties")
    if isinstance(properties, dict):
        for name, inner in cast("dict[str, Any]", properties).items():
            yield f"{path}.{name}"
            yield from _below(inner, f"{path}.{name}", depth + 1)
    for among in ("items", "additionalProperties"):
        yield from _below(whole.get(among), f"{path}[]", depth + 1)
