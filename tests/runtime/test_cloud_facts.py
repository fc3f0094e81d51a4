"""What targets offer and may use is read when they come or change; what can't be read is told once, and tried again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from burster.model import stimuli as s
from burster.model.errors import RemoteError
from burster.model.targets import Target
from burster.runtime.cloud_facts import FactsPoller
from tests.support.builders import a_target


class FakeCloud:
    """Says what it is told to say; counts what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.down: dict[str, Exception] = {}
        self.prices_problem = ""

    async def offerings(self, target: Target) -> s.Stimulus:
        return self._answer(
            "offerings", s.OfferingsSeen(target=target.name, offerings=(), prices_problem=self.prices_problem)
        )

    async def quota(self, target: Target) -> s.Stimulus:
        return self._answer("quota", s.QuotaSeen(target=target.name, rows=()))

    def _answer(self, fact: str, told: s.Stimulus) -> s.Stimulus:
        self.asked.append(fact)
        if fact in self.down:
            raise self.down[fact]
        return told


class Steps:
    """A clock that moves when it is told to; the poller waits by the loop's own."""

    def __init__(self) -> None:
        self.s = 0.0

    def monotonic(self) -> float:
        return self.s


@asynccontextmanager
async def polling(cloud: FakeCloud, posted: list[s.Stimulus]) -> AsyncIterator[tuple[FactsPoller, Steps]]:
    clock = Steps()
    poller = FactsPoller(cloud, posted.append, clock)
    task = asyncio.create_task(poller.run())
    yield poller, clock
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def settled(poller: FactsPoller) -> None:
    for _ in range(20):
        await asyncio.sleep(0)
    assert not poller.busy


async def later(poller: FactsPoller, clock: Steps, seconds: float) -> None:
    clock.s += seconds
    poller.wish_all("quota")  # wakes the poller: it looks at what is due by this clock
    await settled(poller)


async def test_what_can_not_be_read_is_told_once_while_the_same_is_wrong() -> None:
    cloud, posted = FakeCloud(), []
    cloud.down["quota"] = RemoteError("Unavailable", "503: try later.")
    async with polling(cloud, posted) as (poller, clock):
        poller.target(a_target())
        await settled(poller)
        for _ in range(3):
            await later(poller, clock, 31)
        unread = [one for one in posted if isinstance(one, s.TargetUnread)]
        assert unread == [s.TargetUnread(target="azure", fact="quota", message="503: try later.", kind="Unavailable")]
        assert cloud.asked.count("quota") > 3
        cloud.down["quota"] = RemoteError("Unauthorized", "403: no.")
        await later(poller, clock, 31)
        assert posted[-1] == s.TargetUnread(target="azure", fact="quota", message="403: no.", kind="Unauthorized")


async def test_what_fails_anew_after_an_answer_is_told_anew() -> None:
    cloud, posted = FakeCloud(), []
    async with polling(cloud, posted) as (poller, clock):
        poller.target(a_target())
        await settled(poller)
        for _ in range(2):
            cloud.down["quota"] = RemoteError("Unavailable", "503.")
            await later(poller, clock, 31)
            del cloud.down["quota"]
            await later(poller, clock, 31)
    kinds = [type(one).__name__ for one in posted]
    assert kinds == ["QuotaSeen", "OfferingsSeen", *["TargetUnread", "QuotaSeen"] * 2]


async def test_prices_that_are_wanting_are_looked_for_again_soon() -> None:
    cloud, posted = FakeCloud(), []
    cloud.prices_problem = "no price list."
    async with polling(cloud, posted) as (poller, clock):
        poller.target(a_target())
        await settled(poller)
        assert cloud.asked == ["quota", "offerings"], "the quota first"
        await later(poller, clock, 299)
        assert cloud.asked.count("offerings") == 1
        cloud.prices_problem = ""
        await later(poller, clock, 1)
        assert cloud.asked.count("offerings") == 2
        await later(poller, clock, 3_600)
        assert cloud.asked.count("offerings") == 2


async def test_an_endless_message_is_cut() -> None:
    cloud, posted = FakeCloud(), []
    cloud.down["quota"] = RemoteError("Protocol", "x" * 100_000)
    async with polling(cloud, posted) as (poller, _):
        poller.target(a_target())
        await settled(poller)
    (unread,) = [one for one in posted if isinstance(one, s.TargetUnread)]
    assert len(unread.message) == 500
