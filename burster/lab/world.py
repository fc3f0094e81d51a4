"""Runs the whole system on one machine: a demo that ends by itself, or the stand-ins alone for somebody's kubectl.

The only entries for the command line. Site, player and controller run in one process on one lock-step loop; the controller is the very
one that runs in a cluster, over its real clients.
"""

import asyncio
import hashlib
import os
import time
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog

from burster.engine import StepResult
from burster.lab.arm import ArmConfig
from burster.lab.caa.config import CaaTimings
from burster.lab.checks import check_run
from burster.lab.cluster.runs import Run
from burster.lab.demo_result import KUBECONFIG, BurstCounts, DemoOptions, DemoResult, PodCounts, ReactionMs
from burster.lab.lockstep import LabClock, run_lockstep
from burster.lab.options import LabAddresses, LabOptions
from burster.lab.player import Player
from burster.lab.site import Connections, Site, SiteOptions, open_site
from burster.lab.stage import Stage, set_stage
from burster.lab.story import Storyteller
from burster.lab.witness import Witness
from burster.ledger import Ledger
from burster.model.addresses import LOOPBACK
from burster.model.pods import Resources
from burster.model.stimuli import Stimulus
from burster.policy.compile import compile_documents
from burster.policy.load import load_files
from burster.runtime.clock import SystemClock
from burster.runtime.executor import Adaptor
from burster.runtime.loop import StepListener
from burster.runtime.wiring import Controller, ControllerOptions
from burster.surfaces.view import StatusView


#: How long a watched demo takes: long enough to be read, short enough to be watched to the end.
_WATCHED_S: Final = 50.0
#: what is left to do after the last task of a trace would have ended on its own
_TAIL_MS: Final = 30 * 60_000
_POLL_S: Final = 15.0
#: Nothing has started or ended for so long: who still waits will not be served any more.
_PATIENCE_MS: Final = 45 * 60_000
_DRAIN_S: Final = 2 * 3_600.0
_FRAME_S: Final = 1.0
_FRAMES: Final = 500
_FRAME_VIRTUAL_MS: Final = 5_000
_NODE: Final = Resources(cpu_millicores=8_000, memory_bytes=32 * 1024**3)


def run_demo(options: DemoOptions, on_view: Callable[[StatusView], None], on_beat: Callable[[str], None]) -> DemoResult:
    """Play a demo to its end. Raises InputError for what can't be played; Ctrl-C brings everything home first."""
    stage = set_stage(options)
    speed = options.speed
    if speed is None and options.watched:
        speed = max(60.0, (_span_ms(stage) + _TAIL_MS) / 1000 / _WATCHED_S)
    _quieten()
    return run_lockstep(lambda clock: _play(clock, stage, options, on_view, on_beat), speed=speed)


def _span_ms(stage: Stage) -> int:
    return max(entry.arrival_ms + entry.duration_ms for entry in stage.trace.entries)


def _quieten() -> None:
    """A demo's log is its ledger: only what goes wrong is worth a line on the screen."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(40), logger_factory=structlog.PrintLoggerFactory(_stderr())
    )


def _stderr() -> Any:
    import sys

    return sys.stderr


async def _play(
    clock: LabClock,
    stage: Stage,
    options: DemoOptions,
    on_view: Callable[[StatusView], None],
    on_beat: Callable[[str], None],
) -> DemoResult:
    for note in stage.notes:
        on_beat(note)
    start_ms, wall = clock.now_ms(), time.monotonic()
    digest = hashlib.sha256(msgspec.json.encode([document.object for document in stage.documents])).hexdigest()
    site_options = SiteOptions(
        nodes=stage.nodes,
        documents=stage.documents,
        namespaces=tuple({entry.namespace for entry in stage.trace.entries}),
        seed=options.seed,
        arm=stage.arm,
    )
    with Ledger.open(Path(options.run_dir) / "ledger.sqlite", seed=options.seed, policy_hash=digest) as ledger:
        async with open_site(clock, site_options) as site, site.connections() as connections:
            witness = Witness(site.store, stage.policies, clock.now_ms)
            player = Player(site.store, clock, stage.trace)
            storyteller = Storyteller(start_ms, on_beat, witness.latest_reaction)
            controller = make_controller(
                clock, site, connections, ledger, seed=options.seed, title=stage.title, listeners=(storyteller,)
            )
            frames = _Frames(controller, on_view, _span_ms(stage))
            controller.listen(frames)
            with _kubeconfig(site, Path(options.run_dir) / KUBECONFIG):
                interrupted = await _run(clock, site, player, controller, start_ms)
            frames.last()
            now_ms = clock.now_ms()
            witness.close()
            invariants = check_run(site, player, witness, ledger, stage.policies, now_ms)
            leaks = len(site.arm.leaks())
            storyteller.tell("end", f"The end: {leaks} leaks.", now_ms)
            return DemoResult(
                seed=options.seed,
                pods=_count_pods(site, witness, player, ledger),
                bursts=BurstCounts(
                    created=witness.bursts_created, released=len(ledger.spend()), failed=len(witness.failed)
                ),
                reaction_ms=_reaction(witness.reactions_ms),
                cost_micro_usd=sum(spend.micro_usd for spend in ledger.spend()),
                leaks=leaks,
                invariants=invariants,
                decisions_sha256=ledger.decisions_sha256(),
                run_dir=options.run_dir,
                virtual_ms=now_ms - start_ms,
                wall_ms=int((time.monotonic() - wall) * 1000),
                policy_hash=digest,
                interrupted=interrupted,
            )


@contextmanager
def _kubeconfig(site: Site, path: Path) -> Generator[None]:
    """Leave a kubeconfig for whoever wants to watch by kubectl, as long as there is something to watch."""
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(site.api.kubeconfig())
        yield
    finally:
        path.unlink(missing_ok=True)


def make_controller(  # noqa: PLR0913 - what a controller is made of
    clock: LabClock,
    site: Site,
    connections: Connections,
    ledger: Ledger,
    *,
    seed: int,
    title: str = "",
    listeners: tuple[StepListener, ...] = (),
    around: Callable[[Adaptor], Adaptor] = lambda adaptor: adaptor,
) -> Controller:
    """Return a controller for a site, over its own clients; ``run`` it, and cancel that to kill it."""
    return Controller(
        kube=connections.kube,
        cloud=connections.arm,
        facts=connections,
        ledger=ledger,
        clock=clock,
        options=ControllerOptions(seed=seed, title=title or site.api.url, metric_networks=LOOPBACK),
        listeners=listeners,
        around=around,
        preflight=connections.checks,
        reach=site.guests.reach,
    )


async def _run(clock: LabClock, site: Site, player: Player, controller: Controller, start_ms: int) -> bool:
    """Play and decide until nothing more will happen, bring everything home, stop; return whether somebody interrupted."""
    deciding = asyncio.create_task(controller.run(), name="controller")
    playing = asyncio.create_task(player.run(start_ms), name="player")
    interrupted = False

    async def bring_home() -> None:
        await _cancel(playing)
        await _or_fail(controller.drain(deadline_s=_DRAIN_S), deciding)
        await _or_fail(_until_swept(clock, site), deciding)

    try:
        try:
            await _or_fail(_until_done(clock, site, player, controller), deciding, playing)
            await bring_home()
        except asyncio.CancelledError:
            interrupted = True
            _carry_on(clock)
            await bring_home()
    finally:
        await _cancel(deciding)
    return interrupted


def _carry_on(clock: LabClock) -> None:
    """Take an interruption back in order to end in good order, and without delay."""
    task = asyncio.current_task()
    if task is not None:
        task.uncancel()
    clock.hurry()


async def _or_fail(wish: Coroutine[Any, Any, Any], *needed: asyncio.Task[None]) -> None:
    """Await ``wish``; a task it needs that fails first is raised instead."""
    wanted = asyncio.create_task(wish)
    running: set[asyncio.Task[Any]] = {wanted, *needed}
    try:
        while not wanted.done():
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
    finally:
        await _cancel(wanted)
    wanted.result()


async def _cancel(task: asyncio.Task[Any]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def _until_done(clock: LabClock, site: Site, player: Player, controller: Controller) -> None:
    """Return when the trace is played, its tasks are done, and nothing is in the cloud any more, or nothing will change any more."""
    seen, changed_at_ms = -1, clock.now_ms()
    while True:
        await clock.sleep(_POLL_S)
        runs, now_ms = site.cluster.runs, clock.now_ms()
        running = runs.running()
        progress = player.played + 2 * len(runs) - len(running)
        if progress != seen or not player.finished:
            seen, changed_at_ms = progress, now_ms
        if not player.finished:
            continue
        tasks = set(player.tasks)
        if not controller.active_bursts() and tasks.issubset(run.task for run in runs if run.outcome == "Succeeded"):
            return
        if any(run.task in tasks for run in running):
            changed_at_ms = now_ms
        elif now_ms - changed_at_ms > _PATIENCE_MS:
            return


async def _until_swept(clock: LabClock, site: Site) -> None:
    """Give the sweep its time: what CAA left behind is deleted after the grace that its real age needs."""
    until = clock.monotonic() + 1_800
    while site.arm.leaks() and clock.monotonic() < until:
        await clock.sleep(_POLL_S)


def _count_pods(site: Site, witness: Witness, player: Player, ledger: Ledger) -> PodCounts:
    """Count each pod once: where its work was done; a service's pod that waited while a clone served in its place, in the cloud."""
    runs = site.cluster.runs.by_task()
    answered = set(witness.served.values()) | {
        decision.subject
        for decision in ledger.decisions(verdict="Resolved", limit=1_000_000)
        if decision.reasons[0].code == "AnsweredByClone" and decision.burst in witness.served
    }
    tasks = set(player.tasks)
    where = [_where(runs.get(pod, []), answered=pod in answered, task=pod in tasks) for pod in sorted(witness.pods)]
    return PodCounts(
        total=len(where),
        ran_on_prem=where.count("on-prem"),
        ran_in_cloud=where.count("cloud"),
        unserved=where.count(""),
    )


def _where(runs: list[Run], *, answered: bool, task: bool) -> str:
    if task:
        return runs[-1].where if runs else ""
    if runs:
        return "on-prem"
    return "cloud" if answered else ""


def _reaction(milliseconds: list[float]) -> ReactionMs:
    ordered = sorted(milliseconds) or [0.0]

    def percentile(percent: int) -> float:
        return round(ordered[max(0, -(-percent * len(ordered) // 100) - 1)], 3)

    return ReactionMs(p50=percentile(50), p99=percentile(99), max=round(ordered[-1], 3))


class _Frames:
    """Shows a view now and then: evenly over the lab's time, so that curves are true, and often enough to be lively in a slow demo."""

    def __init__(self, controller: Controller, on_view: Callable[[StatusView], None], span_ms: int) -> None:
        self._controller = controller
        self._on_view = on_view
        self._every_ms = max(_FRAME_VIRTUAL_MS, span_ms // _FRAMES)
        self._shown_s = 0.0
        self._shown_ms = 0

    def __call__(self, _stimuli: list[Stimulus], _result: StepResult, now_ms: int) -> None:
        """Show a frame if it is time."""
        now_s = time.monotonic()
        if now_s - self._shown_s < _FRAME_S and now_ms - self._shown_ms < self._every_ms:
            return
        self._shown_s, self._shown_ms = now_s, now_ms
        self._on_view(self._controller.view())

    def last(self) -> None:
        """Show how it ended."""
        self._on_view(self._controller.view())


def serve_lab(options: LabOptions, on_up: Callable[[LabAddresses], None]) -> None:
    """Serve the stand-ins in ordinary time until Ctrl-C."""
    documents = load_files(options.policies)
    compile_documents(documents)
    site_options = SiteOptions(
        nodes=(_NODE,) * options.nodes,
        documents=tuple(documents),
        seed=options.seed,
        api_port=options.api_port,
        arm_port=options.arm_port,
        metrics_port=options.metrics_port,
        **({} if options.vm_seconds is None else _quick(options.vm_seconds)),
    )

    async def main(clock: LabClock) -> None:
        async with open_site(clock, site_options) as site:
            on_up(
                LabAddresses(
                    api_url=site.api.url,
                    arm_url=site.arm.url,
                    prices_url=site.arm.url,
                    metrics_url=site.monitoring.url,
                    kubeconfig=site.api.kubeconfig(),
                )
            )
            while True:
                await clock.sleep(3_600)

    with suppress(KeyboardInterrupt):
        run_lockstep(main, speed=1.0, epoch_ms=SystemClock().now_ms())


def _quick(vm_seconds: float) -> dict[str, Any]:
    """Return the site options under which a VM comes in so many seconds and goes in half of them."""
    whole_ms = max(100, round(vm_seconds * 1000))
    agent_ms = whole_ms // 5
    arm = ArmConfig(
        create_median_ms=whole_ms - agent_ms,
        create_p95_ms=whole_ms - agent_ms,
        delete_min_ms=whole_ms // 2,
        delete_max_ms=whole_ms // 2,
        retry_after_s=1,
    )
    return {"arm": arm, "timings": CaaTimings(agent_ready_ms=agent_ms)}
