"""The standing preflight: when targets are looked at, what of it the engine hears, and how long an answer holds that can't be had again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import msgspec

from burster.clients.arm_facts import ImageFacts
from burster.model import stimuli as s
from burster.model.errors import RemoteError
from burster.model.targets import Target
from burster.runtime.preflight_poller import PreflightPoller
from burster.sources.preflight import Finding, Known, StandingChecks
from tests.support.builders import a_policy, a_target
from tests.support.preflight import CM, SmallWorld, the_target


KEEP_S = 900.0
OK = Finding(check="ConfidentialVmsDisabled", verdict="ok", sentence="DISABLECVM is false.")
WRONG = Finding(check="ConfidentialVmsDisabled", verdict="problem", sentence="DISABLECVM is true.", cure="Mend it.")
UNREAD = Finding(check="ConfidentialVmsDisabled", verdict="problem", sentence="It can't be read.", unread=True)
QUOTA_UNREAD = Finding(check="QuotaMissing", verdict="problem", sentence="It can't be read.", unread=True)
NOT_YET = s.NOT_CHECKED_YET


class Checks:
    """Finds what it is told to find; remembers what it was asked and what was known then."""

    def __init__(self) -> None:
        self.found: tuple[Finding, ...] | Exception = (OK,)
        self.asked: list[tuple[Target, Known]] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def examine(self, target: Target, known: Known) -> tuple[Finding, ...]:
        self.asked.append((target, known))
        await self.gate.wait()
        if isinstance(self.found, Exception):
            raise self.found
        return self.found


class Steps:
    """A clock that moves when it is told to; the poller waits by the loop's own."""

    def __init__(self) -> None:
        self.s = 0.0

    def monotonic(self) -> float:
        return self.s


class Standing:
    """A poller and what it has said."""

    def __init__(self) -> None:
        self.checks, self.clock, self.posted = Checks(), Steps(), list[s.Stimulus]()
        self.poller = PreflightPoller(self.checks, self.posted.append, self.clock, keep_ms=int(KEEP_S * 1000))

    async def hear(self, *facts: s.Stimulus, after_s: float = 0.0) -> list[tuple[str, bool]]:
        """Return code and effect of what the engine was told of the target last."""
        self.clock.s += after_s
        for fact in facts:
            self.poller.hear(fact)
        for _ in range(20):
            await asyncio.sleep(0)
        return self.problems()

    def problems(self) -> list[tuple[str, bool]]:
        told = [one for one in self.posted if isinstance(one, s.TargetChecked)]
        return [(problem.code, problem.blocks) for problem in told[-1].problems] if told else []


@asynccontextmanager
async def standing() -> AsyncIterator[Standing]:
    one = Standing()
    task = asyncio.create_task(one.poller.run())
    yield one
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def seen(**changes: Any) -> s.TargetSeen:
    return s.TargetSeen(target=a_target(**changes))


TICK = s.Tick(kind="preflight")


async def test_nothing_starts_at_a_new_target_before_it_was_looked_at() -> None:
    async with standing() as one:
        one.checks.gate.clear()
        assert await one.hear(seen()) == [(NOT_YET, True)]
        one.checks.gate.set()
        assert await one.hear() == []
        assert one.posted[-1] == s.TrusteeHealth(target="azure", healthy=True)


async def test_an_edit_is_looked_at_anew_and_holds_everything_back_until_then() -> None:
    async with standing() as one:
        await one.hear(seen(generation=1))
        one.checks.gate.clear()
        assert await one.hear(seen(generation=2)) == [(NOT_YET, True)]
        one.checks.gate.set()
        assert await one.hear() == []
        assert len(one.checks.asked) == 2
        await one.hear(seen(generation=2))
        assert len(one.checks.asked) == 2, "the same again is no edit"


async def test_what_was_found_before_an_edit_vouches_for_nothing_after_it() -> None:
    async with standing() as one:
        await one.hear(seen(generation=1))
        one.checks.found = (UNREAD,)
        assert await one.hear(seen(generation=2)) == [("ConfidentialVmsDisabled", True)]


async def test_what_was_wrong_stays_wrong_while_what_it_is_read_from_can_not_be_read() -> None:
    small = SmallWorld()
    posted = list[s.Stimulus]()
    poller = PreflightPoller(StandingChecks(small.world), posted.append, Steps())

    async def problems(*facts: s.Stimulus) -> dict[str, bool]:
        for fact in facts:
            poller.hear(fact)
        await poller._look("azure")
        return {
            problem.code: problem.blocks
            for problem in next(told for told in reversed(posted) if isinstance(told, s.TargetChecked)).problems
        }

    small.api.data["DISABLECVM"] = "true"
    small.cloud.image = ImageFacts(id="x", found=True, generation="V2", security_types=("TrustedLaunch",))
    wrong = {"ConfidentialVmsDisabled": True, "ImageNotConfidential": True}
    before = await problems(s.TargetSeen(target=msgspec.structs.replace(the_target(), name="azure")))
    assert wrong.items() <= before.items()
    small.api.objects[CM] = RemoteError("Unavailable", "etcd is slow")
    small.cloud.subscription = RemoteError("Timeout", "no answer within 20000 ms")
    assert wrong.items() <= (await problems()).items()


async def test_an_edit_in_the_middle_of_a_round_makes_that_round_count_for_nothing() -> None:
    async with standing() as one:
        one.checks.gate.clear()
        await one.hear(seen(generation=1))
        await one.hear(seen(generation=2))
        one.checks.gate.set()
        await one.hear()
        assert [target.generation for target, _ in one.checks.asked] == [1, 2]
        assert len([told for told in one.posted if isinstance(told, s.TrusteeHealth)]) == 1


async def test_a_problem_blocks_is_told_once_and_heals_at_a_later_round() -> None:
    async with standing() as one:
        one.checks.found = (WRONG,)
        assert await one.hear(seen()) == [("ConfidentialVmsDisabled", True)]
        told = len(one.posted)
        await one.hear(TICK)
        await one.hear(TICK)
        assert len(one.posted) == told, "the same again is no news"
        one.checks.found = (OK,)
        assert await one.hear(TICK) == []


async def test_what_is_blocked_is_looked_at_again_without_a_tick() -> None:
    async with standing() as one:
        one.checks.found = (WRONG,)
        await one.hear(seen())
        one.checks.found = (OK,)
        # any fact about it wakes the poller, which looks at what is due by this clock
        await one.hear(s.PolicyGone(key="x"), after_s=61)
        one.poller._due._wake.set()
        assert await one.hear() == []


async def test_what_can_not_be_read_holds_for_a_while_and_then_blocks_what_is_about_confidentiality() -> None:
    async with standing() as one:
        await one.hear(seen())
        one.checks.found = (UNREAD, QUOTA_UNREAD)
        assert await one.hear(TICK, after_s=KEEP_S / 2) == [("QuotaMissing", False)], "it was right lately"
        assert await one.hear(TICK, after_s=KEEP_S) == [("ConfidentialVmsDisabled", True), ("QuotaMissing", False)]
        one.checks.found = (OK,)
        assert await one.hear(TICK) == []


async def test_what_was_wrong_stays_wrong_while_it_can_not_be_read() -> None:
    async with standing() as one:
        one.checks.found = (WRONG,)
        await one.hear(seen())
        one.checks.found = (UNREAD,)
        assert await one.hear(TICK) == [("ConfidentialVmsDisabled", True)]
        assert one.posted[-2].problems[0].sentence == "DISABLECVM is true."


async def test_what_was_never_read_blocks_at_once_where_it_is_about_confidentiality() -> None:
    async with standing() as one:
        one.checks.found = (UNREAD,)
        assert await one.hear(seen()) == [("ConfidentialVmsDisabled", True)]


async def test_a_round_that_comes_to_no_end_opens_nothing() -> None:
    async with standing() as one:
        one.checks.found = RemoteError("Protocol", "nonsense")
        assert await one.hear(seen()) == [(NOT_YET, True)]
        one.checks.found = (OK,)
        assert await one.hear(TICK) == []
        one.checks.found = TimeoutError()
        assert await one.hear(TICK, after_s=KEEP_S / 2) == []
        assert await one.hear(TICK, after_s=KEEP_S) == [("ConfidentialVmsDisabled", True)]


async def test_a_trustee_that_is_down_holds_those_back_who_need_it() -> None:
    async with standing() as one:
        one.checks.found = (OK, Finding(check="TrusteeUnreachable", verdict="problem", sentence="No answer."))
        assert await one.hear(seen()) == []
        assert one.posted[-1] == s.TrusteeHealth(target="azure", healthy=False, message="No answer.")


async def test_peer_pods_troubles_are_no_troubles_of_a_target_for_machines_only() -> None:
    async with standing() as one:
        machines = msgspec.structs.replace(a_policy().placement, strategy="Machine")
        one.checks.found = (WRONG,)
        await one.hear(s.PolicySeen(policy=a_policy(placement=machines)))
        assert await one.hear(seen()) == []


async def test_what_was_read_of_the_cloud_is_judged_and_looked_at_anew_when_it_changes() -> None:
    async with standing() as one:
        await one.hear(seen())
        offered = s.OfferingsSeen(target="azure", offerings=())
        await one.hear(offered, s.QuotaSeen(target="azure", rows=()))
        await one.hear(after_s=2.0)
        one.poller._due._wake.set()
        await one.hear()
        assert len(one.checks.asked) == 2, "facts that come together are looked at together"
        assert one.checks.asked[-1][1].offerings == offered
        await one.hear(s.TargetUnread(target="azure", fact="quota", message="503"), TICK)
        assert isinstance(one.checks.asked[-1][1].quota, RemoteError)


async def test_a_policy_that_asks_for_secure_boot_has_its_target_looked_at() -> None:
    async with standing() as one:
        await one.hear(seen())
        await one.hear(s.PolicySeen(policy=a_policy()))
        await one.hear(after_s=2.0)
        one.poller._due._wake.set()
        await one.hear()
        assert one.checks.asked[-1][1].secure_boot_by == ("bank/tasks",)


async def test_a_target_that_is_gone_is_forgotten() -> None:
    async with standing() as one:
        one.checks.found = (WRONG,)
        await one.hear(seen())
        assert list(one.poller.verdicts()) == [("azure", "ConfidentialVmsDisabled", "problem")]
        await one.hear(s.TargetGone(name="azure"))
        assert list(one.poller.verdicts()) == []
        asked = len(one.checks.asked)
        await one.hear(TICK, after_s=1_000)
        assert len(one.checks.asked) == asked
