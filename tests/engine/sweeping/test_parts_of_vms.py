"""Network interfaces, disks and public addresses that a VM has left behind go after it, each before what it holds."""

from burster.model import stimuli as s
from tests.engine.sweeping.conftest import GRACE, TAGS, TWO_MINUTES, Make, a_leak, a_part


VM = "podvm-task-0123abcd"
NIC = a_part("Nic", f"{VM}-net")
IP = a_part("PublicIp", f"{VM}-ip")


def test_what_is_left_of_a_vm_goes_after_it_nic_before_address(at: Make) -> None:
    engine = at(sweep_exclusive=True)
    vm = a_leak(VM, created_at_ms=engine.now, provisioning_state="Failed")
    there = {one.name: one for one in (vm, NIC, IP, a_part("Disk", f"{VM}-disk", created_at_ms=engine.now))}
    order: list[list[str]] = []
    for _ in range(12):
        engine.listed(*there.values(), after_ms=TWO_MINUTES)
        if engine.going:
            order.append(engine.going)
        for name in engine.going:
            engine.send(s.ResourceDeleted(target="azure", resource_id=there.pop(name).resource_id))
    assert order == [[VM], [f"{VM}-disk"], [NIC.name], [IP.name]]
    assert not there


def test_a_part_without_a_time_of_its_own_is_given_the_grace_from_when_it_was_first_seen(at: Make) -> None:
    engine = at(sweep_exclusive=True)
    engine.listed(NIC)
    engine.listed(NIC, after_ms=GRACE - 1)
    assert not engine.decisions
    engine.listed(NIC, after_ms=1)
    assert engine.codes(NIC.name) == ["PartUnclaimed"]
    engine.listed(NIC, after_ms=TWO_MINUTES)
    assert engine.going == [NIC.name]


def test_what_something_holds_is_not_touched(at: Make) -> None:
    engine = at(sweep_exclusive=True)
    held = a_part("Nic", NIC.name, attached_to="/somebody")
    for _ in range(5):
        engine.listed(held, after_ms=GRACE)
    assert not engine.decisions


def test_what_belongs_to_a_vm_with_a_record_is_not_touched(at: Make) -> None:
    engine = at(sweep_exclusive=True)
    for _ in range(5):
        engine.listed(NIC, after_ms=GRACE, claimed=(VM,))
    assert not engine.decisions


def test_a_part_bears_no_tags_and_is_known_by_the_vm_that_did(at: Make) -> None:
    engine = at(sweep_tags=TAGS)
    stranger = a_part("Disk", "podvm-other-0123abcd-disk", created_at_ms=engine.now)
    disk = a_part("Disk", f"{VM}-disk", created_at_ms=engine.now)
    engine.listed(a_leak(VM, created_at_ms=engine.now, tags=TAGS), stranger, claimed=(VM,))
    gone: list[str] = []
    for _ in range(6):
        engine.listed(disk, stranger, after_ms=TWO_MINUTES)
        gone += engine.going
    assert gone == [disk.name]
    assert engine.codes(stranger.name) == ["PartUnclaimed"], "told of, as nobody can say whose it is"
