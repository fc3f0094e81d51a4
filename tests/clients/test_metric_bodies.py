"""Where KEDA's valueLocation points at, in every format, and what is said where that is no number."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from burster.clients import gjson
from burster.clients.metric_bodies import YAML_MAX_BYTES, number_in
from burster.clients.metric_errors import MetricError


JSON = b"""{"components":[{"id":"82328e93e","tasks":32,"str":"64","k":"1k","wrong":"NaN"},{"id":"b","tasks":5,"up":true}],
"count":2.43,"a.b":{"c*":1},"nested":{"deep":[[1,2],[3,4]]},"none":null,"big":1e3,"list":[]}"""
XML = b"""<?xml version="1.0"?><stats xmlns:x="urn:x"><x:queue name="q"><size> 12 </size></x:queue>
<worker><jobs>3</jobs></worker><worker><jobs>4.5</jobs></worker><text>hello</text></stats>"""
YAML = b"queue: {size: 12, text: 500m, 7: 70}\nworkers: [{jobs: 3}, {jobs: 4.5}]\nyes: true\n"
PAGE = b"""# HELP jobs Jobs.
# TYPE jobs gauge
jobs_total{queue="a",state="failed"} 1
jobs{queue="a",state="wait\\"ing"} 2 1700000000000
jobs{queue="b",state="waiting",} 3.5
jobs{queue="odd, {x}=1"} 9
jobs 4
nan NaN
"""


@pytest.mark.parametrize(
    ("location", "value"),
    [
        ("components.0.tasks", 32),
        ("components|1|tasks", 5),
        ("count", 2.43),
        ("components.0.str", 64),
        ("components.0.k", 1000),
        ("components.#", 2),
        ('components.#(id=="b").tasks', 5),
        ("components.#(tasks>10).tasks", 32),
        ("components.#(tasks<=32)#|#", 2),
        ("components.#(id%82*).tasks", 32),
        ("components.#(up).tasks", 5),
        ("components.#(up==true).tasks", 5),
        ("nested.deep.1.0", 3),
        ("coun*", 2.43),
        ("c?unt", 2.43),
        ("a\\.b.c\\*", 1),
        ("list.#", 0),
    ],
)
def test_gjson(location, value):
    assert number_in(JSON, "json", location) == value


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("nowhere", "has nothing at nowhere"),
        ("components.7.tasks", "nothing"),
        ("components.00000000000000000000000000001", "nothing"),
        ("count.more", "nothing"),
        ("components.0", "an object"),
        ("components", "a list"),
        ("components.1.up", "true or false"),
        ("components.0.wrong", "text that is no quantity"),
        ("none", "null"),
        ("big", "no JSON"),
        ("components.@reverse.0", "not supported"),
        ("{a,b}", "not supported"),
        ("a..b", "nothing between two dots"),
        ("components.#(id==", "parenthesis"),
        ("a\\", "nothing follows"),
        (".".join("a" * 65), "at most 64 parts"),
    ],
)
def test_what_is_no_number_in_json(location, words):
    body = JSON.replace(b"1e3", b"1e999") if location == "big" else JSON
    with pytest.raises(MetricError) as caught:
        number_in(body, "json", location)
    assert words in str(caught.value)
    assert "82328e93e" not in str(caught.value), "an answer's content is nobody's business"


@pytest.mark.parametrize("body", [b"", b"{", b"<html>", b"[" * 100_000, b"\xff\xfe"])
@pytest.mark.parametrize("form", ["json", "xml"])
def test_what_is_not_of_its_format(body, form):
    with pytest.raises(MetricError) as caught:
        number_in(body, form, "a")
    assert caught.value.fault in {"protocol", "location"}


@pytest.mark.parametrize(
    ("location", "value"),
    [
        ("queue.size", 12),
        ("stats.queue.size", 12),
        ("worker.1.jobs", 4.5),
    ],
)
def test_xml(location, value):
    assert number_in(XML, "xml", location) == value


@pytest.mark.parametrize("location", ["text", "queue", "worker", "worker.2.jobs", "nowhere"])
def test_what_is_no_number_in_xml(location):
    with pytest.raises(MetricError) as caught:
        number_in(XML, "xml", location)
    assert caught.value.fault == "location"


@pytest.mark.parametrize(
    "body",
    [
        b'<!DOCTYPE a [<!ENTITY b "x"><!ENTITY c "&b;&b;&b;">]><a>&c;</a>',
        b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
        b"<a>" * 300 + b"</a>" * 300,
    ],
)
def test_xml_that_would_blow_up_or_look_elsewhere(body):
    with pytest.raises(MetricError) as caught:
        number_in(body, "xml", "a")
    assert caught.value.fault == "protocol"


@pytest.mark.parametrize(
    ("location", "value"), [("queue.size", 12), ("queue.text", 0.5), ("workers.1.jobs", 4.5), ("queue.7", 70)]
)
def test_yaml(location, value):
    assert number_in(YAML, "yaml", location) == value


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"a: !!python/object/apply:os.system [true]", "protocol"),
        (b"a: [", "protocol"),
        (b"a: " + b"[" * 5_000, "protocol"),
        (b"a: true", "location"),
        (b"a: .inf", "no_value"),
        (b"b: 1", "location"),
        (b"a" * (YAML_MAX_BYTES + 1), "too_large"),
    ],
)
def test_yaml_that_is_no_number(body, fault):
    with pytest.raises(MetricError) as caught:
        number_in(body, "yaml", "a")
    assert caught.value.fault == fault


@pytest.mark.parametrize(
    ("location", "value"),
    [
        ("jobs_total", 1),
        ('jobs{queue="a"}', 2),
        ('jobs{state="wait\\"ing"}', 2),
        ('jobs { queue="b" , state="waiting" }', 3.5),
        ('jobs{queue="odd, {x}=1"}', 9),
        ("jobs", 2),
    ],
)
def test_a_page_of_metrics(location, value):
    assert number_in(PAGE, "prometheus", location) == value
    assert number_in(PAGE.replace(b"\n", b"\r\n"), "prometheus", location) == value


@pytest.mark.parametrize(
    ("location", "fault"),
    [
        ('jobs{queue="c"}', "location"),
        ("job", "location"),
        ("nan", "no_value"),
        ('jobs{queue=~"a.*"}', "location"),
        ("jobs{queue=a}", "location"),
        ("sum(jobs)", "location"),
    ],
)
def test_what_is_no_sample_of_a_page(location, fault):
    with pytest.raises(MetricError) as caught:
        number_in(PAGE, "prometheus", location)
    assert caught.value.fault == fault


def test_a_page_that_means_ill_takes_no_time():
    body = b'jobs{a="' * 400_000
    with pytest.raises(MetricError):
        number_in(body, "prometheus", "jobs")
    with pytest.raises(MetricError):
        number_in(b'jobs{a="b",\n' * 300_000, "prometheus", 'jobs{a="c"}')


@pytest.mark.parametrize(
    ("text", "value"),
    [("1", 1), ("1.5", 1.5), ("-2", -2), ("500m", 0.5), ("2Ki", 2048), ("1e3", 1000), ("1E2", 100), ("3n", 3e-9)],
)
def test_quantities_in_text(text, value):
    assert number_in(f'{{"a":"{text}"}}'.encode(), "json", "a") == value


@pytest.mark.parametrize("text", ["", "x", "1x", "1kk", "NaN", "Inf", "1e", "1e999", "0x10", "1_000", "१"])
def test_text_that_is_no_quantity(text):
    with pytest.raises(MetricError) as caught:
        number_in(f'{{"a":"{text}"}}'.encode(), "json", "a")
    assert caught.value.fault == "location"


def test_a_path_is_found_in_plain_values_too():
    assert gjson.find([1, 2, 3], "2") == 3
    assert gjson.find(7, "a") is gjson.NOTHING


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=20,
)
paths = st.text(st.sampled_from('ab.#()|*?\\0123456789=!<>%"[]{}@~ \n'), min_size=1, max_size=30)


@settings(max_examples=500, deadline=None)
@given(anything, paths)
def test_whatever_the_path_it_finds_something_or_nothing_or_says_why(document, path):
    said = "found"
    try:
        gjson.find(document, path)
    except gjson.PathError as error:
        said = str(error)
    assert said


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=300), st.sampled_from(["json", "yaml", "xml", "prometheus"]), paths)
def test_whatever_the_answer_it_is_a_finite_number_or_says_why(body, form, location):
    value, said = 0.0, "found"
    try:
        value = number_in(body, form, location)
    except MetricError as error:
        said = str(error)
    assert math.isfinite(value)
    assert said


@settings(max_examples=300, deadline=None)
@given(anything, st.dictionaries(st.text("ab", min_size=1, max_size=3), anything, min_size=1), st.data())
def test_what_is_there_under_plain_names_is_found(leaf, outer, data):
    name = data.draw(st.sampled_from(sorted(outer)))
    document = outer | {name: {"inner": [leaf]}}
    assert gjson.find(document, f"{name}.inner.0") == leaf
    assert gjson.find(document, f"{name}.inner.#") == 1
