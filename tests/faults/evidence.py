"""What a run must leave behind, found out from the lab's own evidence: its store's events, its run log, its cloud's bill. Not from burster.

Beside what every demo is checked for (``burster.lab.checks``): limits of number at every instant, nothing doubled at any instant, nothing
of ours left on anything, a ledger that is whole.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any, Final

from burster.adaptors.manifests import BURST_LABEL, POLICY_LABEL
from burster.engine.bursts.vms import machine_name, vm_stem
from burster.engine.numbers.replica_gates import REPLICA_GOING_MS
from burster.lab.apiserver.shelves import StoreEvent
from burster.lab.checks import check_run, whose
from burster.lab.player import Player
from burster.lab.site import Site
from burster.lab.witness import Witness
from burster.ledger import Ledger
from burster.model.policies import Policy


BURSTS: Final = "bursts.burster.dev"
POLICIES: Final = "burstpolicies.burster.dev"
PEER_PODS: Final = "peerpods.confidentialcontainers.org"
_ENDING: Final = frozenset({"Draining", "Releasing", "Failed", "Lost"})
_OVER: Final = frozenset({"Succeeded", "Failed"})


def name_of(obj: Mapping[str, Any]) -> str:
    return f"{obj['metadata']['namespace']}/{obj['metadata']['name']}"


def phase_of(obj: Mapping[str, Any]) -> str:
    return (obj.get("status") or {}).get("phase") or ""


class Evidence:
    """Watches a site from its beginning to its end; ``wrong`` is what must not have happened at any instant."""

    def __init__(self, site: Site, player: Player, policies: tuple[Policy, ...], now_ms: Any) -> None:
        self.site = site
        self.player = player
        self.witness = Witness(site.store, policies, now_ms)
        self.policies = policies
        self.wrong: list[str] = []
        #: replicas of a workload whose number is set: no record, and no decision, says whose a VM is
        self.scaled = any(policy.placement.strategy == "Scale" for policy in policies)
        self.phases: dict[str, list[str]] = {}  #: Burst -> the phases it was seen in
        self._now_ms = now_ms
        self._caps = {
            policy.key: policy.limits.max_bursts for policy in policies if policy.limits.max_bursts is not None
        }
        self._pods: dict[str, dict[str, str]] = defaultdict(dict)  #: policy -> uid of a living cloud pod -> its burst
        self._open: dict[str, dict[str, str]] = defaultdict(dict)  #: policy -> burst -> uid of the pod it is for
        self._stop = [site.store.subscribe("pods", self._on_pod), site.store.subscribe(BURSTS, self._on_burst)]

    def _on_pod(self, event: StoreEvent) -> None:
        pod = event.object
        labels: dict[str, str] = pod["metadata"].get("labels") or {}
        if BURST_LABEL not in labels:
            return
        namespace, uid = pod["metadata"]["namespace"], pod["metadata"]["uid"]
        alive = self._pods[f"{namespace}/{labels.get(POLICY_LABEL, '')}"]
        if event.type == "DELETED" or phase_of(pod) in _OVER:
            alive.pop(uid, None)
            return
        alive[uid] = labels[BURST_LABEL]
        if len(set(alive.values())) < len(alive):
            self.wrong.append(f"two cloud pods of one burst: {sorted(alive.values())}")
        policy = f"{namespace}/{labels.get(POLICY_LABEL, '')}"
        cap = self._caps.get(policy)
        if cap is not None and len(alive) > cap:
            self.wrong.append(f"{len(alive)} cloud pods of {policy}, which may have {cap}")

    def _on_burst(self, event: StoreEvent) -> None:
        burst = event.object
        key, phase = name_of(burst), phase_of(burst)
        policy = f"{burst['metadata']['namespace']}/{burst['spec']['policy']}"
        seen = self.phases.setdefault(key, [])
        if phase and (not seen or seen[-1] != phase):
            seen.append(phase)
        records = self._open[policy]
        if event.type == "DELETED" or phase == "Released":
            records.pop(key, None)
            return
        ending = phase in _ENDING or burst["metadata"].get("deletionTimestamp")
        records[key] = key if ending else burst["spec"]["forPod"].get("uid") or key
        if len(set(records.values())) < len(records):
            # one that ends says so in the instant in which the next begins
            asyncio.get_running_loop().call_later(1.0, self._still_two, policy)

    def _still_two(self, policy: str) -> None:
        records = self._open[policy]
        if len(set(records.values())) < len(records):
            self.wrong.append(f"two bursts for one pod: {sorted(records)}")

    def problems(self, ledger: Ledger, *, blind_ms: int = 0, forgotten: bool = True) -> list[str]:
        """Return everything that is not as it must be at the end, each in a sentence. ``forgotten``: no record is kept any more."""
        for stop in self._stop:
            stop()
        self.witness.close()
        now_ms = self._now_ms()
        blind_ms += REPLICA_GOING_MS if self.scaled else 0
        checked = check_run(self.site, self.player, self.witness, ledger, self.policies, now_ms, blind_ms=blind_ms)
        return [
            *self.wrong,
            *(f"{one.name}: {one.detail}" for one in checked if not one.ok),
            *self._too_many_vms(ledger),
            *self._remains(forgotten=forgotten),
            *ledger.integrity(),
        ]

    def _too_many_vms(self, ledger: Ledger) -> list[str]:
        owners: dict[str, str] = {}
        for decision in ledger.decisions(verdict="Burst", limit=1_000_000):
            for name in (decision.burst, decision.subject):
                owners[vm_stem(name.partition("/")[2])] = decision.policy
                owners[machine_name(name)] = decision.policy
        moments: list[tuple[int, int, str, str]] = []
        problems: list[str] = []
        for vm in self.site.arm.billing.vms:
            stem = whose(vm.name)
            owner = owners.get(stem, "")
            if not owner and not self.scaled:
                problems.append(f"nobody decided on VM {vm.name}")
            moments += [(vm.began_at_ms, 1, owner, stem), (vm.ended_at_ms or self._now_ms() + 1, -1, owner, stem)]
        running: dict[str, Counter[str]] = defaultdict(Counter)
        for _, change, owner, stem in sorted(moments):
            running[owner][stem] += change  # a pod may have a second VM by CAA's doing: it is the same burst's
            number = sum(count > 0 for count in running[owner].values())
            if number > self._caps.get(owner, 1_000_000):
                problems.append(f"{number} bursts of {owner} have VMs at one time")
        return problems

    def _remains(self, *, forgotten: bool) -> list[str]:
        store = self.site.store
        records = [name_of(one) for one in store.list(BURSTS) if forgotten or phase_of(one) != "Released"]
        problems = [f"Burst {name} is still there" for name in records]
        pods = store.list("pods")
        uids = {pod["metadata"]["uid"] for pod in pods}
        problems += [
            f"PeerPod {name_of(one)} is still there, and its pod is not"
            for one in store.list(PEER_PODS)
            if not uids & {owner["uid"] for owner in one["metadata"].get("ownerReferences") or ()}
        ]
        for pod in pods:
            metadata = pod["metadata"]
            ours = BURST_LABEL in (metadata.get("labels") or {})
            if ours and phase_of(pod) not in _OVER:
                problems.append(f"cloud pod {name_of(pod)} is still {phase_of(pod)}")
            if any(one.startswith("burster.dev/") for one in metadata.get("finalizers") or ()):
                problems.append(f"pod {name_of(pod)} still has {metadata['finalizers']}")
        problems += [
            f"policy {name_of(one)} is still going"
            for one in store.list(POLICIES)
            if one["metadata"].get("deletionTimestamp")
        ]
        return problems
