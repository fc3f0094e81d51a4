"""What an instant query comes to, asked of the stand-in and of a real Prometheus."""

import pytest

from burster.clients.metric_errors import MetricError
from burster.sources.metrics import Number
from tests.support.metrics import CLASSIC, a_query, a_reader


@pytest.mark.parametrize(
    ("query", "milli"),
    [
        (CLASSIC, 2_000),
        ("7.25", 7_250),
        ("vector(3)", 3_000),
        ("sum(kube_pod_status_phase) / 2 + 1", 3_000),
        ("count(kube_pod_status_phase{namespace!='default'})", 1_000),
        ('max by (kind) (odd{kind="small"})', 1),
        ('odd{kind="negative"}', 0),
        ('odd{kind=~"neg.*"} * -1', 4_500),
        ("1 - 2", 0),
    ],
)
async def test_one_number(url, query, milli):
    async with a_reader() as reader:
        assert await reader.read("bank", a_query(url, query), 0.0) == Number(milli)


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("sum(nothing_of_the_kind)", "the query finds no series"),
        ('odd{kind="nan"}', "the value is NaN"),
        ('odd{kind="inf"}', "the value is +Inf"),
        ("0 / 0", "the value is NaN"),
        ("-1 / 0", "the value is -Inf"),
    ],
)
async def test_an_answer_without_a_number(url, query, why):
    async with a_reader() as reader:
        assert await reader.read("bank", a_query(url, query), 0.0) == Number(None, why)


async def test_what_is_too_large_to_count_is_no_number(url):
    async with a_reader() as reader:
        found = await reader.read("bank", a_query(url, 'odd{kind="huge"}'), 0.0)
        assert found == Number(2**63 - 1)


@pytest.mark.parametrize(
    ("query", "fault", "words"),
    [
        ("kube_pod_status_phase", "several_series", "5 series"),
        ("kube_pod_status_phase[5m]", "wrong_type", "matrix"),
        ('"text"', "wrong_type", "string"),
        ("sum(kube_pod_status_phase", "client_error", "parse error"),
        ("nonsense(up)", "client_error", "unknown function with name"),
    ],
)
async def test_what_is_no_number_is_told_for_what_it_is(url, query, fault, words):
    async with a_reader() as reader:
        with pytest.raises(MetricError) as caught:
            await reader.read("bank", a_query(url, query), 0.0)
    assert caught.value.fault == fault
    assert words in str(caught.value)


async def test_an_address_that_is_no_api(url):
    async with a_reader() as reader:
        with pytest.raises(MetricError, match="answers 404") as caught:
            await reader.read("bank", a_query(f"{url}/nowhere"), 0.0)
    assert caught.value.fault == "client_error"


async def test_parameters_of_thanos_do_no_harm(url):
    asked = a_query(url, namespace="bank", query_parameters={"dedup": "true", "partial_response": "false"})
    async with a_reader() as reader:
        assert await reader.read("bank", asked, 0.0) == Number(2_000)
