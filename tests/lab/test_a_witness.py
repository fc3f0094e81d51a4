"""Who watches a lab for its evidence sees bursts of every kind: also those that a number asked for, and no pod."""

from burster.lab.apiserver.store import Store
from burster.lab.witness import Witness
from burster.policy.crds import crds
from burster.policy.records import burst_to_object
from tests.support.builders import T0
from tests.support.machines import a_machine


def test_a_machine_that_serves_is_seen() -> None:
    store = Store(lambda: T0)
    for definition in crds().values():
        store.create("customresourcedefinitions.apiextensions.k8s.io", "", definition)
    store.create("namespaces", "", {"metadata": {"name": "bank"}})
    witness = Witness(store, (), lambda: T0)
    body = burst_to_object(a_machine(uid=""))
    body.pop("status", None)
    store.create("bursts.burster.dev", "bank", body)
    assert witness.bursts_created == 1
    store.patch(
        "bursts.burster.dev", "bank", "burst-scorer-0123abcd", {"status": {"phase": "Serving"}}, subresource="status"
    )
    assert witness.served == {"bank/burst-scorer-0123abcd": "bank/burst-scorer-0123abcd"}
    witness.close()
