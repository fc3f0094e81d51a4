"""The two answers to "may this pod burst now?": a Grant, which says where and for how much, or a Refusal, which says why not.

Given by ``gates`` and by every gate of its own (``eligibility``, ``budgets``, ``wait``); taken by ``queues`` and ``lifecycle_actions``.
Values only: what they mean is decided where they are made.
"""

from typing import Literal

import msgspec

from burster.model.bursts import BurstStrategy
from burster.model.decisions import Reason
from burster.model.offerings import Offering


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """The pod may burst, here."""

    strategy: BurstStrategy
    target: str
    offering: Offering
    price_micro_usd_per_hour: int
    reserve_micro_usd: int
    reasons: tuple[Reason, ...]


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """The pod may not burst now. ``whole_policy``: no other pod of the policy could either, so the rest need not be asked."""

    verdict: Literal["Wait", "Deny"]
    reason: Reason
    whole_policy: bool = False
    again_at_ms: int | None = None
    #: what stands against the policy's other targets, in the policy's order; empty where there is one target
    others: tuple[Reason, ...] = ()
