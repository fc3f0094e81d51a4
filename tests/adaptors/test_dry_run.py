"""The dry run beside records that somebody else has written for real: it neither ends nor settles nor claims them."""

import pytest
from msgspec.structs import replace

from burster.adaptors.dry_run import DryRunAdaptor
from burster.engine import initial_state, step
from burster.model import instructions as i
from burster.model import stimuli as s
from burster.model.errors import RemoteError
from tests.engine.test_releases import an_engine, serve
from tests.support.builders import T0, Engine, a_pod, a_policy, a_target, an_offering


REAL = "7f1c0a52-uid-of-the-api-server"


def a_record(uid=REAL, phase="Serving"):
    engine = an_engine()
    burst = engine.burst(serve(engine, "web-1"))
    return replace(burst, uid=uid, status=replace(burst.status, phase=phase))


@pytest.fixture
def adaptor() -> DryRunAdaptor:
    return DryRunAdaptor(lambda _key, _uid: True, lambda _key: True)


def asked(burst):
    return {
        "DeletePod": i.DeletePod(key="x", burst=burst, grace_ms=0),
        "DeleteMachine": i.DeleteMachine(key="x", burst=burst),
        "PublishEndpoint": i.PublishEndpoint(key="x", burst=burst, address="10.0.0.4", ready=False),
        "ReturnPod": i.ReturnPod(key="x", burst=burst),
        "ObserveVms": i.ObserveVms(key="x", burst=burst),
        "ForgetBurst": i.ForgetBurst(key="x", burst=burst),
    }


@pytest.mark.parametrize(
    "kind", ["DeletePod", "DeleteMachine", "PublishEndpoint", "ReturnPod", "ObserveVms", "ForgetBurst"]
)
async def test_what_is_real_is_left_alone(adaptor, kind):
    with pytest.raises(RemoteError) as raised:
        await adaptor.carry_out(asked(a_record())[kind])
    assert (raised.value.kind, raised.value.code) == ("Unavailable", "DryRun")


@pytest.mark.parametrize(
    "kind", ["DeletePod", "DeleteMachine", "PublishEndpoint", "ReturnPod", "ObserveVms", "ForgetBurst"]
)
async def test_its_own_records_end_as_they_would(adaptor, kind):
    assert await adaptor.carry_out(asked(a_record("dry-run-0123"))[kind]) is not None


async def test_no_machine_is_made(adaptor):
    with pytest.raises(RemoteError) as raised:
        await adaptor.carry_out(i.LaunchMachine(key="x", burst=a_record("dry-run-0123")))
    assert (raised.value.kind, raised.value.code) == ("Unavailable", "DryRun")


async def drive(engine: Engine, adaptor: DryRunAdaptor, rounds: int = 200) -> None:
    """Let the adaptor answer what the engine asks, for some virtual minutes."""
    for _ in range(rounds):
        answers: list[s.Stimulus] = []
        for instruction in engine.instructions:
            try:
                outcome = await adaptor.carry_out(instruction)
            except RemoteError as error:
                kind, key = type(instruction).__name__, instruction.key
                outcome = s.InstructionFailed(
                    instruction=kind,
                    key=key,
                    subject=(getattr(instruction, "burst", None) and instruction.burst.key) or "",
                    kind=error.kind,
                    code=error.code,
                    message=str(error),
                    retry_after_ms=error.retry_after_ms,
                )
            if outcome is not None:
                answers.append(outcome)
        engine.send(*answers, after_ms=1_000)


def a_dry_engine(*facts: s.Stimulus) -> Engine:
    engine = Engine()
    engine.sync(
        s.PolicySeen(policy=a_policy()),
        s.TargetSeen(target=a_target()),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2), an_offering(4))),
        *facts,
    )
    return engine


async def test_a_dry_run_settles_nothing_of_a_real_burst_whatever_becomes_of_it(adaptor):
    burst = a_record()
    pod = s.CloudPodSeen(
        burst_uid=burst.uid, burst_key=burst.key, pod_uid=burst.status.pod_uid, phase="Running", ready=True
    )
    engine = a_dry_engine(s.BurstSeen(burst=burst), pod)
    assert engine.phase() == "Serving"
    engine.send(s.PolicyGone(key="bank/tasks"))
    assert engine.phase() == "Draining"
    await drive(engine, adaptor)
    assert engine.phase() == "Draining", "it can't be brought home from here"
    assert engine.spends == [], "a live successor would take it for settled, and never charge it"


async def test_a_live_controller_starts_from_nothing_that_a_dry_run_has_decided(adaptor):
    dry = a_dry_engine(s.PodSeen(pod=a_pod(since=T0 - 60_000)))
    await drive(dry, adaptor, rounds=20)
    (decided,) = dry.state.bursts
    assert dry.burst(decided).uid.startswith("dry-run-")
    assert dry.state.scopes["Policy", "bank/tasks"].account.outstanding_micro_usd > 0
    dry.send(s.PodLeft(namespace="bank", name="task-1", uid="uid-task-1", why="Bound"))
    await drive(dry, adaptor, rounds=60)
    live = a_dry_engine(s.LedgerRestored(entries=tuple(dry.spends)), s.PodSeen(pod=a_pod(since=T0 - 60_000)))
    account = live.state.scopes["Policy", "bank/tasks"].account
    assert len(live.state.bursts) == 1, "decided anew, and once"
    assert account.outstanding_micro_usd == live.burst().status.reserved_micro_usd
    assert live.state.settled_total_micro_usd == 0
    assert step(initial_state(), (), T0).spends == ()
