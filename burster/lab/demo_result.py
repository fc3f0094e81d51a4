"""What a demo is asked to do and what came out of it.

`burster.cli.demo` makes the options from flags and renders the result; `burster.lab.world.run_demo` carries them out. Neither of
these values knows how the other side works.
"""

from typing import Any, Final

import msgspec

from burster.model.quantities import MICRO_USD_PER_USD


#: in the run directory while a demo runs, for one's own kubectl; gone with the server it points to
KUBECONFIG: Final = "kubeconfig"


class DemoOptions(msgspec.Struct, frozen=True, kw_only=True):
    """A demo to run. Empty strings and None mean: what the project ships."""

    run_dir: str  #: exists already; the ledger is written there
    seed: int = 7
    trace: str = ""  #: a trace file instead of the shipped story
    limit: int | None = None  #: at most so many pods of the trace
    policies: tuple[str, ...] = ()  #: policy and target files instead of the shipped ones
    scenario: str = ""
    speed: float | None = None  #: at most so many times as fast as the wall clock; None: as fast as this machine can
    watched: bool = False  #: somebody looks at a live view: without --speed, pace the story so that it can be read


class PodCounts(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the trace's pods; each is counted once."""

    total: int
    ran_on_prem: int
    ran_in_cloud: int
    unserved: int


class BurstCounts(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the bursts. ``failed`` ones were released too, and are counted in both."""

    created: int
    released: int
    failed: int


class ReactionMs(msgspec.Struct, frozen=True, kw_only=True):
    """Wall time from the API server's write of Unschedulable to the written Burst; never part of the decisions' hash."""

    p50: float
    p99: float
    max: float


class Invariant(msgspec.Struct, frozen=True, kw_only=True):
    """Something that must hold at the end, whether it does, and how that was found out."""

    name: str
    ok: bool
    detail: str


class DemoResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a demo did. The run directory holds the ledger; the caller adds summary, decisions and report."""

    seed: int
    pods: PodCounts
    bursts: BurstCounts
    reaction_ms: ReactionMs
    cost_micro_usd: int
    leaks: int
    invariants: tuple[Invariant, ...]
    decisions_sha256: str
    run_dir: str
    virtual_ms: int = 0  #: how much time passed in the lab
    wall_ms: int = 0  #: how much passed here
    policy_hash: str = ""
    interrupted: bool = False  #: Ctrl-C came, and everything was released before this was returned

    @property
    def ok(self) -> bool:
        """Whether nothing leaked and every invariant holds."""
        return self.leaks == 0 and all(invariant.ok for invariant in self.invariants)


def demo_document(result: DemoResult, report: str) -> dict[str, Any]:
    """Return the one JSON document of ``burster demo -o json``; ``report`` is the HTML report's path."""
    return {
        "seed": result.seed,
        "pods": msgspec.to_builtins(result.pods),
        "bursts": msgspec.to_builtins(result.bursts),
        "reaction_ms": msgspec.to_builtins(result.reaction_ms),
        "cost_usd": result.cost_micro_usd / MICRO_USD_PER_USD,
        "leaks": result.leaks,
        "invariants": msgspec.to_builtins(result.invariants),
        "decisions_sha256": result.decisions_sha256,
        "report": report,
        "run_dir": result.run_dir,
        "policy_hash": result.policy_hash,
        "virtual_seconds": result.virtual_ms / 1000,
        "wall_seconds": result.wall_ms / 1000,
        "interrupted": result.interrupted,
    }
