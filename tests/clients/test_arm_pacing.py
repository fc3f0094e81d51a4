"""Nobody is refused for haste: tokens as Azure counts them, first come first served, corrected by what the answers say."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burster.clients.arm.pacing import Bucket, Call, Limit, Pacer


def call(kind="GetVm", name="a", **changes):
    fields = {
        "kind": kind,
        "subscription": "s",
        "region": "eastus",
        "what": f"ask for {name}",
        "resource": f"s/rg/{name}",
    }
    return Call(**{**fields, **changes})


def answers(pacer, asked, now=0.0, **headers):
    pacer.landed(asked, now, [(name.replace("_", "-"), text) for name, text in headers.items()])


def test_a_full_bucket_is_emptied_at_once_and_then_regains_so_many_a_minute():
    pacer = Pacer()
    waits = [pacer.enter(call("PutVm"), 0.0, 600)[0] for _ in range(15)]
    assert waits == pytest.approx([0.0] * 12 + [15.0, 30.0, 45.0])


def test_each_machine_has_its_own_tokens_and_all_share_their_regions():
    pacer = Pacer()
    for _ in range(12):
        pacer.enter(call("PutVm", "a"), 0.0, 0)
    assert pacer.enter(call("PutVm", "a"), 0.0, 0) == (pytest.approx(15), False)
    assert pacer.enter(call("PutVm", "b"), 0.0, 0) == (0.0, True)


def test_five_hundred_machines_are_asked_for_as_fast_as_arm_takes_writes():
    pacer = Pacer()
    waits = [pacer.enter(call("PutVm", f"m{number}"), 0.0, 600)[0] for number in range(500)]
    assert waits[199] == 0
    assert waits[-1] == pytest.approx(30.0)
    assert waits == sorted(waits)


def test_who_would_wait_longer_than_it_can_takes_nothing():
    pacer = Pacer()
    for _ in range(12):
        pacer.enter(call("PutVm"), 0.0, 0)
    assert pacer.enter(call("PutVm"), 0.0, 14) == (pytest.approx(15), False)
    assert pacer.enter(call("PutVm"), 0.0, 14) == (pytest.approx(15), False)
    assert pacer.enter(call("PutVm"), 1.0, 14) == (pytest.approx(14), True)


def test_who_goes_away_before_its_turn_gives_its_token_back():
    pacer = Pacer()
    for _ in range(13):
        pacer.enter(call("PutVm"), 0.0, 60)
    pacer.left(call("PutVm"), 1.0)
    assert pacer.enter(call("PutVm"), 1.0, 60)[0] == pytest.approx(14)


def test_a_refusal_closes_the_bucket_it_names_for_everybody_and_no_other():
    pacer = Pacer()
    pacer.enter(call(name="a"), 0.0, 0)
    pacer.refuse(call(name="a"), 0.0, 17, "resource")
    assert pacer.enter(call(name="a"), 0.0, 60)[0] == pytest.approx(17)
    assert pacer.enter(call(name="b"), 0.0, 60)[0] == 0
    pacer.refuse(call(name="b"), 0.0, 30, "subscription")
    assert pacer.enter(call(name="c"), 10.0, 60)[0] == pytest.approx(20)
    assert pacer.enter(call("PutVm", "c"), 10.0, 60)[0] == 0
    assert pacer.throttled_for(10.0) == pytest.approx(20)
    assert pacer.refused == 2


def test_after_a_refusal_they_pass_one_after_the_other():
    pacer = Pacer()
    pacer.refuse(call("PutVm"), 0.0, 10, "resource")
    assert [pacer.enter(call("PutVm"), 0.0, 600)[0] for _ in range(3)] == pytest.approx([10, 25, 40])


def test_what_answers_say_is_left_is_believed_less_what_is_under_way():
    pacer = Pacer()
    for _ in range(3):
        pacer.enter(call(), 0.0, 0)
    answers(
        pacer,
        call(),
        x_ms_ratelimit_remaining_resource="Microsoft.Compute/GetVMResource;4,Microsoft.Compute/GetVMSubscription;9000",
    )
    waits = [pacer.enter(call(), 0.0, 600)[0] for _ in range(3)]
    assert waits == pytest.approx([0, 0, 5])


def test_a_header_told_several_times_counts_each_time():
    pacer = Pacer()
    pacer.enter(call(), 0.0, 0)
    name = "x-ms-ratelimit-remaining-resource"
    pacer.landed(
        call(), 0.0, [(name, "Microsoft.Compute/GetVMSubscription;8000"), (name, "Microsoft.Compute/GetVMResource;0")]
    )
    assert pacer.enter(call(), 0.0, 60)[0] == pytest.approx(5)


def test_what_arm_itself_has_left_slows_every_kind_of_read():
    pacer = Pacer()
    pacer.enter(call(), 0.0, 0)
    answers(pacer, call(), x_ms_ratelimit_remaining_subscription_reads="0")
    assert pacer.enter(call("ListVms", resource=""), 0.0, 60)[0] == pytest.approx(1 / 25)
    assert pacer.enter(call("PutVm"), 0.0, 60)[0] == 0


@pytest.mark.parametrize(
    "text", ["", "nonsense", "Microsoft.Compute/GetVMResource;", "x;-5", "x;²", ";;;", "Microsoft.Compute/GetVM3Min;46"]
)
def test_a_header_that_says_nothing_certain_changes_nothing(text):
    pacer = Pacer()
    pacer.enter(call(), 0.0, 0)
    answers(pacer, call(), x_ms_ratelimit_remaining_resource=text)
    assert pacer.enter(call(), 0.0, 0) == (0.0, True)


def test_a_policy_that_nobody_knows_and_that_is_used_up_makes_them_wait():
    pacer = Pacer()
    pacer.enter(call(), 0.0, 0)
    answers(pacer, call(), x_ms_ratelimit_remaining_resource="Microsoft.Compute/HighCostGet30Min;0")
    assert pacer.enter(call(name="b"), 0.0, 60)[0] == pytest.approx(1)


@given(
    st.lists(st.floats(0, 60), min_size=1, max_size=200),
    st.integers(1, 20),
    st.floats(0.05, 20),
)
def test_no_window_ever_sees_more_than_azure_would_let_through(gaps, most, per_second):
    bucket, now, passed = Bucket(Limit(per_second, most), 0.0), 0.0, []
    for gap in gaps:
        now += gap / per_second
        passed.append(now + bucket.wait(now))
        bucket.take()
    assert passed == sorted(passed)
    for (first, begun), (last, ended) in itertools.combinations(enumerate(passed), 2):
        assert last - first + 1 <= most + (ended - begun) * per_second + 1e-6


def test_many_machines_do_not_fill_the_memory():
    pacer = Pacer()
    for number in range(25_000):
        pacer.enter(call(name=str(number)), float(number), 0)
    assert len(pacer._buckets) <= 20_000
