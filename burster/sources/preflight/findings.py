"""What a check is, what it has found, and the book in which a round of checks is written.

A check that raised RemoteError is written as unread: not known, for a reason that may pass. What that means for launches is decided by who
asked: ``burster.runtime.preflight_poller`` keeps an earlier answer for a while.
"""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Literal

import msgspec

from burster.model.errors import RemoteError
from burster.model.stimuli import TargetProblem


Verdict = Literal["ok", "warning", "problem", "skipped"]
Group = Literal["Cluster", "Peer pods", "Cloud", "Trustee", "Network"]


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that must be right. ``code`` never changes; it names what is wrong where the check fails."""

    code: str
    group: Group
    title: str  #: what is right where the check succeeds
    asks: str  #: what is read to know it
    why: str
    cure: str
    blocks: bool = False  #: where it finds a problem, nothing new starts at the target
    closes: bool = False  #: where it can't be asked for long, nothing new starts either
    peer_pods: bool = False  #: it concerns peer pods only, no machines
    standing: bool = (
        True  #: the controller asks it again and again; else only `burster doctor`, as it is dear or for people only
    )


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What a check has found."""

    check: str
    verdict: Verdict
    sentence: str
    cure: str = ""
    unread: bool = False  #: it could not be asked, which may pass


class Findings:
    """A round of checks: one finding for each, in the order in which they were made."""

    def __init__(self) -> None:
        self._found: dict[str, Finding] = {}

    @property
    def all(self) -> tuple[Finding, ...]:
        """Everything that was found."""
        return tuple(self._found.values())

    def of(self, check: Check) -> Finding | None:
        """Return what a check has found, None where it was not made."""
        return self._found.get(check.code)

    def ok(self, check: Check, sentence: str) -> None:
        """Write that it is right."""
        self._write(check, "ok", sentence, "")

    def warning(self, check: Check, sentence: str, cure: str = "") -> None:
        """Write that it is not as it should be, which stands in nothing's way."""
        self._write(check, "warning", sentence, cure or check.cure)

    def problem(self, check: Check, sentence: str, cure: str = "") -> None:
        """Write that it is wrong."""
        self._write(check, "problem", sentence, cure or check.cure)

    def skipped(self, check: Check, sentence: str, *, unread: bool = False) -> None:
        """Write that there was nothing to ask, or nobody to ask it. ``unread``: only for now, as what it rests on could not be read."""
        self._found[check.code] = Finding(check=check.code, verdict="skipped", sentence=sentence, unread=unread)

    def is_unread(self, check: Check) -> bool:
        """Say whether a check was made, and could not be asked."""
        found = self._found.get(check.code)
        return found is not None and found.unread

    def unread(self, check: Check, error: RemoteError) -> None:
        """Write that it could not be asked. What the controller needs no right to is for an administrator to ask."""
        if check.code in self._found:
            return
        if error.kind == "Unauthorized" and not check.standing:
            self.skipped(check, _ended(f"Whoever asks may not read it, and burster needs no right to: {error}"))
        else:
            cure = _access_cure(error)
            self._found[check.code] = Finding(
                check=check.code,
                verdict="problem",
                sentence=_ended(f"It can't be read: {error}"),
                cure=cure,
                unread=True,
            )

    @contextmanager
    def asking(self, *checks: Check) -> Generator[None]:
        """Write the checks that were not answered within as unread where RemoteError is raised."""
        try:
            yield
        except RemoteError as error:
            for check in checks:
                self.unread(check, error)

    def _write(self, check: Check, verdict: Verdict, sentence: str, cure: str) -> None:
        self._found[check.code] = Finding(check=check.code, verdict=verdict, sentence=sentence, cure=cure)


def problem_of(check: Check, finding: Finding) -> TargetProblem | None:
    """Return what the engine is told of a finding; None where there is nothing to tell."""
    if finding.verdict not in {"problem", "warning"}:
        return None
    blocks = finding.verdict == "problem" and (check.closes if finding.unread else check.blocks)
    return TargetProblem(
        code=check.code, sentence=finding.sentence, cure=finding.cure, blocks=blocks, peer_pods=check.peer_pods
    )


def _access_cure(error: RemoteError) -> str:
    match error.kind:
        case "Unauthorized":
            return (
                "Give whoever asks the right to read it: deploy/rbac.yaml for the cluster, docs/azure.md for the cloud."
            )
        case "Throttled":
            return "Nothing: it is asked again by itself."
        case "Unreachable" | "Timeout" | "Unavailable":
            return "See that it answers, and that nothing on the way (proxy, firewall, NetworkPolicy) keeps burster from it."
        case _:
            return "See whether somebody in between answers in its place, and report it if not."


def _ended(sentence: str) -> str:
    return sentence if sentence.endswith((".", "!", "?")) else f"{sentence}."
