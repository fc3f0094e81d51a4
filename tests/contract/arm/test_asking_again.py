"""What is asked again, what is not, and how fast: reads and deletions may be repeated, a PUT only where certainly nothing was done."""

import asyncio

import pytest

from burster.clients.arm import Arm, ArmSettings
from burster.lab.arm import ArmConfig, Fault
from burster.lab.lockstep import LAB_EPOCH_MS
from burster.model.errors import RemoteError


def told(world, operation):
    return [seen for seen in world.server.requests if seen.operation == operation]


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault(operation="GetVm", status=503, code="ServerBusy", times=2), id="busy"),
        pytest.param(Fault(operation="GetVm", status=500, code="InternalServerError", times=2), id="broken"),
        pytest.param(Fault(operation="GetVm", effect="DropBefore", times=2), id="cut off"),
        pytest.param(
            Fault(operation="GetVm", status=429, code="OperationNotAllowed", retry_after_s=3, times=2), id="haste"
        ),
    ],
)
def test_a_read_is_repeated_until_it_is_answered(lab, fault):
    async def story(world):
        await world.made("podvm-a")
        world.server.faults.add(fault)
        assert (await world.arm.get_vm(world.target, "podvm-a")).name == "podvm-a"
        assert world.clock.now_ms() - LAB_EPOCH_MS - 700_000 <= 10_000

    lab(story)


def test_a_read_is_repeated_only_so_often(lab):
    async def story(world):
        await world.made("podvm-a")
        world.server.faults.add(Fault(operation="GetVm", status=500, times=None))
        world.server.requests.clear()
        with pytest.raises(RemoteError):
            await world.arm.get_vm(world.target, "podvm-a")
        assert len(told(world, "GetVm")) == 4

    lab(story)


@pytest.mark.parametrize("code", ["AuthorizationFailed", "InvalidParameter", "PropertyChangeNotAllowed"])
def test_what_will_never_work_is_not_repeated(lab, code):
    async def story(world):
        status = {"AuthorizationFailed": 403, "InvalidParameter": 400}.get(code, 409)
        world.server.faults.add(Fault(operation="PutVm", status=status, code=code, times=None))
        with pytest.raises(RemoteError) as raised:
            await world.arm.begin_vm(world.target, "burstvm-a", world.body("burstvm-a"))
        assert raised.value.code == code
        assert len(told(world, "PutVm")) == 1

    lab(story)


@pytest.mark.parametrize("effect", ["DropBefore", "DropAfter"])
@pytest.mark.parametrize("kept", [True, False], ids=["a kept connection", "a new connection"])
def test_a_put_whose_outcome_nobody_knows_is_never_repeated(lab, effect, kept):
    async def story(world):
        if kept:
            await world.arm.get_vm(world.target, "burstvm-a")
        world.server.faults.add(Fault(operation="PutVm", effect=effect, times=1))
        with pytest.raises(RemoteError) as raised:
            await world.arm.begin_vm(world.target, "burstvm-a", world.body("burstvm-a"))
        assert raised.value.kind == "Timeout"
        assert len(told(world, "PutVm")) == 1
        assert (await world.arm.get_vm(world.target, "burstvm-a") is not None) == (effect == "DropAfter")

    lab(story)


@pytest.mark.parametrize(("status", "code"), [(429, "OperationNotAllowed"), (503, "ServiceUnavailable")])
def test_a_put_that_was_turned_away_is_repeated(lab, status, code):
    async def story(world):
        world.server.faults.add(Fault(operation="PutVm", status=status, code=code, retry_after_s=2, times=2))
        made = await world.arm.begin_vm(world.target, "burstvm-a", world.body("burstvm-a"))
        assert made.vm.provisioning_state == "Creating"
        assert [seen.at_ms - LAB_EPOCH_MS for seen in told(world, "PutVm")] == [0, 2_000, 4_000]

    lab(story)


def test_a_put_to_nobody_is_repeated_and_then_known_to_have_done_nothing(lab):
    async def story(world):
        async with Arm(ArmSettings(base_url="http://127.0.0.1:9", auth="none")) as arm:
            with pytest.raises(RemoteError) as raised:
                await arm.begin_vm(world.target, "burstvm-a", world.body("burstvm-a"))
        assert raised.value.kind == "Unreachable"
        assert 1_000 < world.clock.now_ms() - LAB_EPOCH_MS < 10_000

    lab(story)


def test_many_who_read_one_machine_wait_in_line_and_nobody_is_refused(lab):
    async def story(world):
        await world.made("podvm-a")
        world.server.requests.clear()
        done: list[int] = []

        async def read(number):
            await world.arm.get_vm(world.target, "podvm-a")
            done.append(number)

        await asyncio.gather(*(read(number) for number in range(40)))
        assert done == sorted(done)
        assert {seen.status for seen in told(world, "GetVm")} == {200}
        assert world.arm.pace()[1] > 0
        assert world.arm.throttle_refusals == 0

    lab(story, config=ArmConfig(throttled=True))


def test_who_would_wait_too_long_in_line_is_told_so_at_once(lab):
    async def story(world):
        await world.made("podvm-a")
        reads = (world.arm.get_vm(world.target, "podvm-a") for _ in range(50))
        answers = await asyncio.gather(*reads, return_exceptions=True)
        refused = [each for each in answers if isinstance(each, RemoteError)]
        assert {(each.kind, each.code, each.matter) for each in refused} == {("Throttled", "Paced", "throttled")}
        assert {30_000 < each.retry_after_ms <= 35_001 for each in refused} == {True}
        assert 5 <= len(refused) <= 10
        assert world.arm.throttle_refusals == 0

    lab(story, config=ArmConfig(throttled=True))


def test_five_hundred_machines_at_once_breach_no_limit(lab):
    async def story(world):
        names = [f"burstvm-{number:03}" for number in range(500)]
        made = await asyncio.gather(*(world.arm.begin_vm(world.target, name, world.body(name)) for name in names))
        assert len({each.token for each in made}) == 500
        assert {seen.status for seen in told(world, "PutVm")} == {201}
        assert world.arm.throttle_refusals == 0
        assert world.clock.now_ms() - LAB_EPOCH_MS <= 31_000

    lab(
        story,
        config=ArmConfig(
            throttled=True, family_quota=5_000, cores_quota=5_000, subnet_addresses=1_000, throttled_by_arm=True
        ),
    )


def test_one_who_is_too_late_is_told_when_to_come_again(lab):
    async def story(world):
        await world.made("podvm-a")
        world.server.faults.add(Fault(operation="GetVm", status=429, code="OperationNotAllowed", retry_after_s=600))
        with pytest.raises(RemoteError) as first:
            await world.arm.get_vm(world.target, "podvm-a")
        with pytest.raises(RemoteError) as second:
            await world.arm.get_vm(world.target, "podvm-b")
        assert first.value.retry_after_ms == 600_000
        assert 590_000 < second.value.retry_after_ms <= 600_001
        assert world.arm.throttled_ms > 590_000

    lab(story)
