"""cloud-api-adaptor itself: is it there and well, can its configuration be read, does it run with the one that is there.

Called by ``examine``, which has the ConfigMap looked into by ``adaptor_config``.
"""

from datetime import datetime
from typing import Final

from burster.model.targets import Target
from burster.sources.preflight import catalogue as c
from burster.sources.preflight.findings import Findings
from burster.sources.preflight.objects import ConfigMap, DaemonSet, find_config_maps, find_daemon_set, pods_of
from burster.sources.preflight.words import listed
from burster.sources.preflight.world import World


_WHERE: Final = "Install cloud-api-adaptor, or say where it is: BURSTER_PREFLIGHT__NAMESPACES."


async def check_adaptor(target: Target, world: World, found: Findings) -> ConfigMap | None:
    """Look at the installation that is for the target, and return its ConfigMap for others to look into."""
    places = world.places
    config: ConfigMap | None = None
    with found.asking(c.CONFIG):
        config = installation_of(target, await find_config_maps(world.api, places))
        if config is not None:
            found.ok(c.CONFIG, f"{config.metadata.namespace}/{config.metadata.name}.")
        elif target.proof == "Record":
            # such a cloud tells nothing of its VMs: that they are confidential, attestation alone proves
            said = (
                f"No cloud-api-adaptor for {target.provider} is seen in {listed(places.namespaces)}: it is not checked."
            )
            found.warning(c.CONFIG, said, _WHERE)
            for check in (c.ADAPTOR, c.STALE):
                found.skipped(check, "Where cloud-api-adaptor is, is not known.")
            return None
        else:
            found.problem(
                c.CONFIG, f"There is no ConfigMap {places.config_map} in {listed(places.namespaces)}.", _WHERE
            )
    namespaces = places.namespaces if config is None else (config.metadata.namespace,)
    with found.asking(c.ADAPTOR, c.STALE):
        daemon_set = await find_daemon_set(world.api, namespaces, places.daemon_sets)
        if daemon_set is None:
            said = f"There is no DaemonSet {' or '.join(places.daemon_sets)} in {listed(namespaces)}."
            found.problem(c.ADAPTOR, said, _WHERE)
            found.skipped(c.STALE, "There is no DaemonSet.")
            return config
        _tell_health(daemon_set, found)
        await _check_restarted(world, daemon_set, config, found)
    return config


def installation_of(target: Target, configs: list[ConfigMap]) -> ConfigMap | None:
    """Return the one that makes VMs where the target is, else one of the same cloud, else the first: what is wrong in it is told then."""

    def fits(config: ConfigMap) -> int:
        data = config.data or {}
        same = data.get("CLOUD_PROVIDER") == target.provider
        return same + (
            same
            and data.get("AZURE_REGION", "").casefold() == target.region.casefold()
            and data.get("AZURE_RESOURCE_GROUP", "").casefold() == target.resource_group.casefold()
        )

    best = max(configs, key=fits, default=None)
    return None if best is None or (target.proof == "Record" and not fits(best)) else best


def _tell_health(daemon_set: DaemonSet, found: Findings) -> None:
    name, status = f"{daemon_set.metadata.namespace}/{daemon_set.metadata.name}", daemon_set.status
    wanted, ready = status.desired_number_scheduled, status.number_ready
    cure = f"kubectl logs daemonset/{daemon_set.metadata.name} -n {daemon_set.metadata.namespace}: {c.ADAPTOR.cure}"
    if not wanted:
        found.problem(c.ADAPTOR, f"{name} runs on no node.", "Label the workers as its nodeSelector asks.")
    elif not ready:
        found.problem(c.ADAPTOR, f"None of the {wanted} pods of {name} is ready.", cure)
    elif ready < wanted:
        found.warning(c.ADAPTOR, f"{ready} of {wanted} pods of {name} are ready: sandboxes on the others fail.", cure)
    else:
        found.ok(c.ADAPTOR, f"{name}: {ready} of {wanted} pods ready.")


async def _check_restarted(world: World, daemon_set: DaemonSet, config: ConfigMap | None, found: Findings) -> None:
    meta = daemon_set.metadata
    if config is None:
        found.skipped(c.STALE, "Its ConfigMap can't be read.", unread=found.is_unread(c.CONFIG))
        return
    pods = await pods_of(world.api, daemon_set)
    started = [pod.status.start_time for pod in pods if pod.status.start_time is not None]
    changed = config.metadata.changed_at
    if not started or changed is None:
        found.warning(
            c.STALE,
            f"When {meta.name} was started can't be told: none of its pods is seen.",
            "Look at its pods; after an edit of its ConfigMap it has to be restarted.",
        )
    elif (oldest := min(started)) < changed:
        found.problem(
            c.STALE,
            f"{config.metadata.name} was changed {_at(changed)}, and a pod of {meta.name} runs since {_at(oldest)}: it still works with"
            " the values of before.",
            c.STALE.cure.replace("DAEMONSET", meta.name).replace("NAMESPACE", meta.namespace),
        )
    else:
        found.ok(c.STALE, f"Its pods run since {_at(oldest)}, the ConfigMap is of {_at(changed)}.")


def _at(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
