"""What the controller notes of rules on their way to the engine: places it can't reach, signals that go, limits of the whole."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Any, cast

import pytest

from burster.ledger import Ledger
from burster.model import stimuli as s
from burster.model.instructions import PublishSignal
from burster.model.limits import Limits
from burster.runtime.clock import SystemClock
from burster.runtime.loop import ClockWentBackError
from burster.runtime.wiring import Controller, ControllerOptions
from tests.support.builders import a_policy, a_target


class _Nothing:
    """No connection: nothing that these tests do asks for one."""

    host = "https://10.96.0.1:443"

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} was asked for")


def a_controller(tmp_path, **options: Any) -> Controller:
    nothing: Any = _Nothing()
    return Controller(
        kube=nothing,
        cloud=nothing,
        facts=nothing,
        ledger=Ledger.open(tmp_path / "ledger.sqlite"),
        clock=SystemClock(),
        options=ControllerOptions(**options),
    )


async def test_a_target_of_a_provider_that_has_no_vms_is_refused_and_any_other_is_taken(tmp_path) -> None:
    controller = a_controller(tmp_path)
    for provider in ("azure", "sovereign", "onprem"):
        controller.post(s.TargetSeen(target=a_target(provider=provider)))
        assert controller.bus.take(9) == [s.TargetSeen(target=a_target(provider=provider))]
    controller.post(s.TargetSeen(target=a_target(provider="docker")))
    (refused,) = controller.bus.take(9)
    assert (type(refused), refused.name, refused.code) == (s.TargetRefused, "azure", "ProviderNotSupported")
    assert refused.message == (
        "Provider docker runs pods in containers of the worker and not in confidential VMs: nothing may burst there."
    )


async def test_a_signal_goes_with_its_policy_and_stays_while_it_is_only_refused(tmp_path) -> None:
    controller = a_controller(tmp_path)
    controller.signals.publish(PublishSignal(key="k", policy="bank/tasks", replicas=3, active=True))
    controller.post(s.PolicySeen(policy=a_policy()))
    controller.post(s.PolicyRefused(key="bank/tasks", message="no"))
    assert list(controller.signals) == [("bank/tasks", 3, True)]
    controller.post(s.PolicyGone(key="bank/tasks"))
    assert list(controller.signals) == []


async def test_a_policy_that_is_made_anew_at_once_keeps_its_number(tmp_path) -> None:
    """The bus tells the engine only of the new one, which then has no reason to publish the number again."""
    controller = a_controller(tmp_path)
    controller.signals.publish(PublishSignal(key="k", policy="bank/tasks", replicas=3, active=True))
    controller.post(s.PolicyGone(key="bank/tasks"))
    controller.post(s.PolicySeen(policy=a_policy()))
    assert controller.bus.take(9) == [s.PolicySeen(policy=a_policy())]
    assert list(controller.signals) == [("bank/tasks", 3, True)]


async def test_a_number_that_the_engine_took_down_stays_down(tmp_path) -> None:
    controller = a_controller(tmp_path)
    controller.signals.publish(PublishSignal(key="k", policy="bank/tasks", replicas=3, active=True))
    controller.post(s.PolicyGone(key="bank/tasks"))
    down = PublishSignal(key="k", policy="bank/tasks", replicas=0, active=False, withdrawn=True)
    controller.signals.publish(down)
    controller.post(s.PolicySeen(policy=a_policy()))
    assert list(controller.signals) == []
    controller.signals.publish(PublishSignal(key="k", policy="bank/tasks", replicas=1, active=True))
    assert list(controller.signals) == [("bank/tasks", 1, True)]


class _Silent:
    """A connection on which nothing ever comes."""

    host = "https://10.96.0.1:443"

    async def pages(self, *_: Any, **__: Any) -> AsyncGenerator[Any]:
        await asyncio.Event().wait()
        yield

    async def get(self, *_: Any, **__: Any) -> bytes:
        await asyncio.Event().wait()
        return b""


async def test_what_ends_the_controller_is_told_as_itself(tmp_path) -> None:
    class Clock(SystemClock):
        behind_ms = 0

        def now_ms(self) -> int:
            return super().now_ms() - self.behind_ms

    clock, silent, nothing = Clock(), cast("Any", _Silent()), cast("Any", _Nothing())
    ledger = Ledger.open(tmp_path / "ledger.sqlite")
    controller = Controller(
        kube=silent, cloud=nothing, facts=nothing, ledger=ledger, clock=clock, options=ControllerOptions()
    )
    stepped = asyncio.Event()
    controller.listen(lambda *_: stepped.set())
    running = asyncio.create_task(controller.run())
    await stepped.wait()
    clock.behind_ms = 3_600_000
    controller.post(s.Tick(kind="evaluate"))
    with pytest.raises(ClockWentBackError, match=r"clock was put back by (59m|1h)"):
        await running


async def test_the_limits_of_the_whole_are_told_at_the_start(tmp_path) -> None:
    limits = Limits(max_bursts=5)
    controller = a_controller(tmp_path, limits=limits)
    running = asyncio.create_task(controller.run())
    with suppress(asyncio.CancelledError, BaseExceptionGroup):
        await asyncio.sleep(0)
        told = controller.bus.take(9)
        running.cancel()
        await running
    assert s.ClusterLimitsSeen(limits=limits) in told
