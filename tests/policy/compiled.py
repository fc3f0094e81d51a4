"""Compiled policies and targets for tests of what reads them: the lint, the explanations."""

import msgspec

from burster.model.limits import Budget, Limits
from burster.model.policies import Confidential, InitdataRef, Placement, Policy, WorkloadSelector
from burster.model.targets import Target
from burster.model.triggers import PrometheusTrigger
from burster.policy.lint.base import Known


AT_MS = 1_799_236_800_000  # 2027-01-06T12:00:00Z, a Wednesday
USD = 1_000_000
SIZE = "Standard_DC2es_v6"


def replaced(value, **changes):
    return msgspec.structs.replace(value, **changes)


def a_policy(strategy="Clone", *, placement=None, confidential=None, budget=None, limits=None, **changes):
    """A policy that no rule of the lint has anything against."""
    own = Policy(
        namespace="bank",
        name="web",
        workload=WorkloadSelector(kind="Deployment"),
        limits=replaced(
            Limits(max_bursts=4, budget=replaced(Budget(per_day_micro_usd=20 * USD), **(budget or {}))),
            **(limits or {}),
        ),
        placement=replaced(Placement(strategy=strategy, targets=("east", "west")), **(placement or {})),
        confidential=replaced(Confidential(), **(confidential or {})),
    )
    return replaced(own, **changes)


def a_target(name="east", **changes):
    own = Target(
        name=name,
        subscription="00000000-0000-0000-0000-000000000000",
        resource_group=f"burst-{name}",
        region="eastus",
        sizes=(SIZE,),
        allowed_namespaces=("bank",),
        limits=Limits(budget=Budget(per_month_micro_usd=1000 * USD)),
        trustee_url="https://trustee.example",
        initdata=InitdataRef(config_map="initdata"),
    )
    return replaced(own, **changes)


def known(*targets, prices=None):
    targets = targets or (a_target(), a_target("west"))
    listed = {SIZE.casefold(): USD} if prices is None else prices
    return Known(
        at_ms=AT_MS,
        targets={target.name: target for target in targets},
        list_prices={target.name: listed for target in targets},
    )


def prometheus(query="up", **changes):
    own = PrometheusTrigger(name="q", server_address="https://prometheus:9090", query=query)
    return replaced(own, **changes)
