"""What was decided and why, as data: events, logs, the status page, `burster why` and reports all render the same record."""

from typing import Literal

import msgspec


Verdict = Literal[
    "Burst",  # a cloud pod is to be started
    "Wait",  # not now; time or freed room can change it without anybody acting
    "Deny",  # a rule or limit says no; a person can change it
    "Release",  # a cloud pod comes home
    "Renew",  # a lease goes on, its money reserved
    "Fail",  # a burst went wrong
    "Sweep",  # something in the cloud that no record claims
    "Scale",  # a number of replicas is set or published, or kept for a reason
    "Note",  # nothing is done, and something is kept in mind for later
    "Warn",  # nothing is done, but a person should know
    "Resolved",  # the demand went away by itself
]


class Reason(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One step of the argument: a stable code, a sentence for people, and the numbers behind it."""

    code: str
    sentence: str
    numbers: dict[str, int] = {}


class Decision(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A verdict with its ordered reasons; the first reason is the one that settled it.

    ``policy`` and ``subject`` are ``namespace/name`` keys; ``subject`` is a pod, a burst, or a VM for Sweep.
    """

    at_ms: int
    verdict: Verdict
    policy: str = ""
    subject: str = ""
    kind: str = ""  #: of ``subject``, where it is a workload that was noted
    burst: str = ""
    offering: str = ""
    reasons: tuple[Reason, ...]
