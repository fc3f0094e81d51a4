"""What became of the cloud pods that burster made, and of their sandboxes."""

from typing import Final

from burster.engine.bursts import ending, nodes_full, resting, storms
from burster.engine.bursts import lifecycle_actions as actions
from burster.engine.bursts.lifecycle import ENDING
from burster.engine.bursts.provenance import is_pod_of
from burster.engine.offers import consequences, cooling, elsewhere
from burster.engine.releasing import wait
from burster.engine.state import BurstEntry, State
from burster.model.decisions import Reason
from burster.model.errors import RemoteKind
from burster.model.stimuli import CloudPodGone, CloudPodSeen, SandboxFailed
from burster.model.targets import proof_of


#: Failures after which the very same request can only fail again.
FINAL: Final[frozenset[RemoteKind]] = frozenset({"Invalid", "Unauthorized"})


def cloud_pod_seen(state: State, stimulus: CloudPodSeen) -> None:
    """One of burster's own pods, new or changed."""
    entry = state.bursts.get(stimulus.burst_key)
    if entry is None:
        state.early_pods.setdefault(stimulus.burst_key, {})[stimulus.pod_uid] = stimulus
        return
    if not is_pod_of(stimulus, entry.burst):
        return
    entry.pod = stimulus
    if state.ready:
        follow_pod(state, entry, stimulus)


def follow_pod(state: State, entry: BurstEntry, pod: CloudPodSeen) -> None:
    """Do what a cloud pod's state asks for."""
    phase = entry.burst.status.phase
    entry.ran = entry.ran or pod.phase in {"Running", "Succeeded", "Failed"}
    unheard_of = not entry.burst.status.pod_uid and pod.phase not in {"Succeeded", "Failed"}
    if unheard_of and (phase in ENDING or phase == "Releasing"):
        come_to_light(state, entry, pod)
        return
    if phase not in {"Provisioning", "Attesting", "Serving"} and phase not in ENDING:
        return
    if pod.phase in {"Succeeded", "Failed"}:
        _pod_ended(state, entry, pod)
        return
    spec = entry.burst.spec
    # On a node there is no size to be asked for: the pod has what it requests, as everywhere.
    other_size = not spec.node_selector and pod.size.lower() != spec.size.lower()
    if phase == "Provisioning" and (pod.runtime_class != spec.runtime_class or other_size):
        sentence = (
            f"The admission chain made it {pod.size or 'no size'} with RuntimeClass {pod.runtime_class or 'none'}; "
            f"{spec.size} with {spec.runtime_class} was asked for."
        )
        ending.fail_launch(state, entry, Reason(code="AdmissionMismatch", sentence=sentence))
    elif phase == "Provisioning" and pod.phase == "Running":
        actions.attest(state, entry)
    elif phase == "Provisioning":
        nodes_full.look(state, entry, pod)


def come_to_light(state: State, entry: BurstEntry, pod: CloudPodSeen) -> None:
    """A pod is there although its record says that it is not: it goes home like any other."""
    entry.ended_by_us, entry.pod_gone_at_ms = True, None
    status = entry.burst.status
    found = {"pod_uid": pod.pod_uid, "placed_at_ms": actions.made_at_ms(state, entry, pod)}
    if status.phase == "Releasing":
        actions.set_phase(state, entry, "Draining", reason=status.reason, message=status.message, **found)
    else:
        actions.change_status(state, entry, **found)
    ending.carry_on(state, entry)


def _pod_ended(state: State, entry: BurstEntry, pod: CloudPodSeen) -> None:
    """The task is over: its pod stays for its owner to read, its VM goes with the sandbox."""
    sentence = f"The pod's work ended: {pod.phase}."
    reason = Reason(code=f"Pod{pod.phase}", sentence=sentence)
    phase = entry.burst.status.phase
    if entry.burst.spec.strategy == "Clone":
        # A clone is a service's: one that ended has failed at serving, and its record owns it.
        ending.end(state, entry, "Draining", reason)
        return
    if phase in ENDING:
        if pod.phase == "Failed" and pod.terminating:
            # We have stopped it: that is no outcome of its work, and it goes home when it has gone.
            ending.let_go(state, entry)
            return
        actions.change_status(state, entry, outcome=pod.phase)
        ending.pod_gone(state, entry)
        return
    if phase == "Provisioning":
        actions.set_phase(state, entry, "Attesting")
    state.decide(
        "Release",
        reason,
        policy=entry.burst.policy_key,
        subject=entry.burst.subject,
        burst=entry.burst.key,
    )
    if phase == "Serving" and pod.phase == "Succeeded":
        wait.note_run(state, entry.burst.policy_key, state.now_ms - (entry.burst.status.serving_at_ms or state.now_ms))
    ending.forget_cover(state, entry)
    actions.change_status(state, entry, outcome=pod.phase)
    ending.to_releasing(state, entry, reason.code, sentence)


def cloud_pod_gone(state: State, stimulus: CloudPodGone) -> None:
    """One of burster's own pods is really gone."""
    early = state.early_pods.get(stimulus.burst_key)
    if early is not None:
        early.pop(stimulus.pod_uid, None)
        if not early:
            del state.early_pods[stimulus.burst_key]
    entry = state.bursts.get(stimulus.burst_key)
    if entry is None or not is_pod_of(stimulus, entry.burst):
        return
    entry.pod = None
    if not entry.burst.status.pod_uid:
        entry.gone_pod_uid = stimulus.pod_uid
    if state.ready:
        _note_last_phase(state, entry, stimulus.phase)
        pod_vanished(state, entry)


def _note_last_phase(state: State, entry: BurstEntry, phase: str) -> None:
    """A task that had succeeded when its pod went is done, whoever deleted the pod."""
    if phase == "Succeeded" and entry.burst.spec.strategy == "Move" and not entry.burst.status.outcome:
        actions.change_status(state, entry, outcome=phase)


def pod_vanished(state: State, entry: BurstEntry) -> None:
    """Go on where the cloud pod is no longer there."""
    phase = entry.burst.status.phase
    if phase in ENDING:
        ending.pod_gone(state, entry)
    elif phase in {"Provisioning", "Attesting", "Serving"}:
        reason = Reason(code="PodDeleted", sentence="Somebody else deleted the cloud pod.")
        state.decide(
            "Release",
            reason,
            policy=entry.burst.policy_key,
            subject=entry.burst.subject,
            burst=entry.burst.key,
        )
        ending.forget_cover(state, entry)
        ending.to_releasing(state, entry, reason.code, reason.sentence)


def sandbox_failed(state: State, stimulus: SandboxFailed) -> None:
    """The kubelet could not start the pod's VM."""
    entry = state.bursts.get(stimulus.burst_key)
    if entry is None or entry.burst.status.phase != "Provisioning":
        return
    if stimulus.pod_uid not in {"", entry.burst.status.pod_uid}:
        return
    failure = consequences.failure_of(stimulus)
    consequence, _ = consequences.consequence_of(failure)
    if consequence == "Wait" and stimulus.count < storms.sandbox_failures_allowed(state, entry.burst):
        # The kubelet tries again with another VM; the one it gave up costs until it is gone, so it is noted while it is there.
        actions.observe(state, entry)
        return
    reason = Reason(
        code=stimulus.code or f"Sandbox{stimulus.kind}",
        sentence=f"Its VM could not be started ({stimulus.count} times): {stimulus.message[:300]}",
        numbers={"count": stimulus.count},
    )
    outcome = consequences.follow(state, entry, failure)
    if outcome.blames_workload:
        ending.fail_launch(state, entry, reason)
    elif outcome.consequence == "Stop":
        # What burster itself may not do, or where it may not, is no workload's fault; the target's stop is what holds others off.
        resting.park(state, entry)
        ending.end(state, entry, "Failed", reason, verdict="Fail", also=(outcome.next,))
    elif outcome.consequence == "Wait" and proof_of(entry.burst.spec.provider) == "Record":
        # Nobody here understands that cloud's refusals: what fails so often there is tried elsewhere.
        reason = storm(entry, stimulus.count, stimulus.message)
        left = elsewhere.leave_alone(state, entry, reason.code, "could not start a VM", cooling.FULL_MS)
        ending.end(state, entry, "Failed", reason, verdict="Fail", also=(left,))
        storms.launch_failed(state, entry, reason, at_least_ms=0, blame_workload=False)
    elif outcome.consequence == "Wait":
        ending.fail_launch(state, entry, storm(entry, stimulus.count, stimulus.message), slow=True)
    else:
        ending.end(state, entry, "Failed", reason, verdict="Fail", also=(outcome.next,))


def storm(entry: BurstEntry, failures: int, message: str = "") -> Reason:
    """Return the reason that ends a burst whose sandbox does not come up, each time with another VM."""
    vms = len(entry.vms)
    last = f": {message[:300]}" if message else "."
    return Reason(
        code="SandboxStorm",
        sentence=f"Its sandbox has failed {failures} times and {vms} VMs were seen for it; the next would be one more{last}",
        numbers={"failures": failures, "vms": vms},
    )
