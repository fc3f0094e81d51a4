"""What a row means: a step, its stimuli, decisions and spend as rows, and the hash that chains each step to all before it.

The hash of a step is SHA-256 over the hash before it and the step's canonical bytes: a head of JSON (numbers, and the digest of what its
run noted about itself), each stimulus and decision as it is kept, each settled amount as JSON, a snapshot where there is one; every part
preceded by its length in eight bytes, big-endian. Snapshots are kept compressed: they are a tenth as large then. A segment begins with an
*opening*, hashed in the same way, so the chain goes on over segments. Whoever knows the latest hash of a ledger (it is logged at each
rotation and at the end) knows all of it.
"""

import hashlib
import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from burster.ledger.backend import Row, Rows
from burster.model import stimuli
from burster.model.decisions import Decision
from burster.model.stimuli import Spend, Stimulus


#: what the first segment's opening hangs on
NOTHING_BEFORE: Final = bytes(32)
COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    "steps": ("step", "run", "at_ms", "stimuli", "decisions", "spends", "snapshot", "sha256"),
    "stimuli": ("step", "at_ms", "kind", "subject", "body"),
    "decisions": ("step", "at_ms", "policy", "subject", "verdict", "code", "burst", "body"),
    "spend": ("step", "at_ms", "burst", "uid", "policy", "target", "micro_usd"),
    "carried": ("at_ms", "burst", "uid", "policy", "target", "micro_usd"),
    "meta": ("run", "key", "value"),
    "opening": ("segment", "run", "step", "at_ms", "snapshot", "previous", "sha256"),
    "seal": ("step", "at_ms", "sha256"),
}

encode = msgspec.msgpack.Encoder().encode
decode_stimulus = msgspec.msgpack.Decoder(Stimulus).decode
decode_decision = msgspec.msgpack.Decoder(Decision).decode


def _chained(previous: bytes, head: Sequence[Any], parts: Iterable[bytes]) -> bytes:
    digest = hashlib.sha256(previous)
    for part in (_text(head), *parts):
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.digest()


def _text(values: Sequence[Any]) -> bytes:
    return json.dumps(values, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")


def pack(snapshot: bytes) -> bytes:
    """Return a snapshot as it is kept."""
    return zlib.compress(snapshot, 1)


def unpack(kept: bytes | None) -> bytes:
    """Return a snapshot as it was given; empty where there is none."""
    return zlib.decompress(kept) if kept else b""


def digest_of_notes(notes: Mapping[str, str]) -> str:
    """Return the digest of what a run noted about itself: part of each of its steps' hashes."""
    return hashlib.sha256(_text(sorted(notes.items()))).hexdigest()


def hash_of_step(previous: bytes, step: Row, notes: str, bodies: Iterable[bytes], spends: Iterable[Row]) -> bytes:
    """Return a step's hash. ``step``: the row of ``steps`` without its hash; ``spends``: rows of ``spend``."""
    *numbers, snapshot = step
    return _chained(previous, [*numbers, notes], (*bodies, *map(_text, spends), snapshot or b""))


def hash_of_opening(opening: Row, carried: Iterable[Row]) -> bytes:
    """Return an opening's hash. ``opening``: its row without the hash."""
    *numbers, snapshot, previous = opening
    return _chained(previous, numbers, (*map(_text, carried), snapshot or b""))


def rows_of_step(
    previous: bytes,
    numbers: tuple[int, int, int],
    told: tuple[Sequence[Stimulus], Sequence[Decision], Sequence[Spend]],
    notes: str,
    snapshot: bytes | None = None,
) -> tuple[Rows, bytes]:
    """Return the rows of a step (``numbers``: step, run, at_ms) and its hash."""
    step, _, at_ms = numbers
    facts, decisions, spends = told
    fact_rows = [(step, at_ms, *index_of_stimulus(one), encode(one)) for one in facts]
    decision_rows = [(step, *index_of_decision(one), encode(one)) for one in decisions]
    spend_rows = [(step, *_amount(one)) for one in spends]
    row = (*numbers, len(facts), len(decisions), len(spends), None if snapshot is None else pack(snapshot))
    bodies = (rows[-1] for rows in (*fact_rows, *decision_rows))
    sha256 = hash_of_step(previous, row, notes, bodies, spend_rows)
    return {
        "steps": [(*row, sha256)],
        "stimuli": fact_rows,
        "decisions": decision_rows,
        "spend": spend_rows,
    }, sha256


def rows_of_opening(
    numbers: tuple[int, int, int, int],
    snapshot: bytes | None,
    previous: bytes,
    carried: Sequence[Spend] = (),
    notes: Mapping[str, str] | None = None,
) -> tuple[Rows, bytes]:
    """Return the rows with which a segment begins (``numbers``: segment, run, last step before it, at_ms) and their hash."""
    amounts = [_amount(one) for one in carried]
    row = (*numbers, None if snapshot is None else pack(snapshot), previous)
    sha256 = hash_of_opening(row, amounts)
    run = numbers[1]
    return {
        "opening": [(*row, sha256)],
        "carried": amounts,
        "meta": [(run, key, value) for key, value in sorted((notes or {}).items())],
    }, sha256


def index_of_stimulus(stimulus: Stimulus) -> tuple[str, str]:
    """Return a stimulus' kind and what it is about: the key of its burst, pod or policy, or a target's name; else the empty string."""
    return type(stimulus).__name__, _subject_of(stimulus)


def _subject_of(stimulus: Stimulus) -> str:
    match stimulus:
        case stimuli.PodSeen(pod=about) | stimuli.BurstSeen(burst=about) | stimuli.PolicySeen(policy=about):
            return about.key
        case stimuli.PodLeft(namespace=namespace, name=name):
            return f"{namespace}/{name}"
        case stimuli.CloudPodSeen() | stimuli.CloudPodGone() | stimuli.SandboxFailed():
            return stimulus.burst_key
        case stimuli.InstructionFailed(subject=subject):
            return subject
        case _:
            # the rest name their subject `key` (a burst or a policy) or `target`
            return str(getattr(stimulus, "key", "") or getattr(stimulus, "target", ""))


def index_of_decision(decision: Decision) -> tuple[int, str, str, str, str, str]:
    """Return what of a decision is in columns of its own: at_ms, policy, subject, verdict, code, burst."""
    code = decision.reasons[0].code if decision.reasons else ""
    return (decision.at_ms, decision.policy, decision.subject, decision.verdict, code, decision.burst)


def _amount(spend: Spend) -> tuple[int, str, str, str, str, int]:
    return (spend.at_ms, spend.burst, spend.uid, spend.policy, spend.target, spend.micro_usd)


def spend_of(row: Row) -> Spend:
    """Return the settled amount of a row of ``carried``, or of ``spend`` without its step."""
    at_ms, burst, uid, policy, target, micro_usd = row
    return Spend(burst=burst, uid=uid, policy=policy, target=target, at_ms=at_ms, micro_usd=micro_usd)


def insert(table: str) -> str:
    """Return the INSERT of a table's rows."""
    columns = COLUMNS[table]
    return f"INSERT INTO {table} ({','.join(columns)}) VALUES ({','.join('?' * len(columns))})"  # noqa: S608 - fixed names
