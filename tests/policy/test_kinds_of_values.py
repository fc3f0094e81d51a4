"""Each kind of value at its borders: what is just taken, what is just refused, and what is said."""

import pytest

from burster.policy.fields import Kind, Matching, WholeNumber
from burster.policy.fields.amounts import (
    MetricNumber,
    Percentage,
    Quantity,
    Switch,
    Timeout,
    activation_milli,
    percent_milli,
    threshold_milli,
)
from burster.policy.fields.texts import (
    ClockTime,
    CronText,
    IsoDate,
    KeyValues,
    Origin,
    SelectorText,
    ServerUrl,
    SizeText,
    ZoneText,
    days_of,
    pairs_of,
)


#: kind, what is written, what is kept
TAKEN = [
    (MetricNumber(), "0.001", "0.001"),
    (MetricNumber(), 1, "1"),
    (MetricNumber(), 2.5, "2.5"),
    (MetricNumber(), "9000000000000000", "9000000000000000"),
    (MetricNumber(), "1" + "0" * 15, "1" + "0" * 15),
    (MetricNumber(zero=True), 0, "0"),
    (MetricNumber(zero=True), "0.0", "0.0"),
    (MetricNumber(zero=True), "1e-30", "1e-30"),
    (Percentage(), 0, "0"),
    (Percentage(), "100", "100"),
    (Percentage(), "100.000", "100.000"),
    (Percentage(), 12.5, "12.5"),
    (Percentage(), "0.001", "0.001"),
    (Quantity("cpu"), "0", "0"),
    (Quantity("cpu"), 2, "2"),
    (Quantity("cpu"), 1.5, "1.5"),
    (Quantity("cpu", 1), "1m", "1m"),
    (Quantity("memory"), "4Gi", "4Gi"),
    (Quantity("memory"), 1024, "1024"),
    (Quantity("memory", 1), "1", "1"),
    (Switch(), True, True),
    (Switch(), False, False),
    *((Switch(), text, True) for text in ("1", "t", "T", "TRUE", "true", "True")),
    *((Switch(), text, False) for text in ("0", "f", "F", "FALSE", "false", "False")),
    (Timeout(), 1, 1),
    (Timeout(), "60000", 60_000),
    (Timeout(), "1m", 60_000),
    (Timeout(), "250ms", 250),
    (WholeNumber(-5, 5), "-5", -5),
    (WholeNumber(-5, 5), 5, 5),
    (Matching("[0-9a-z.]+", 4, "x", numbers=True), 1.5, "1.5"),
    (Matching("[0-9a-z.]+", 4, "x", numbers=True), True, "true"),
    (Matching("[0-9a-z.]+", 4, "x"), "abcd", "abcd"),
    (Matching("[0-9a-z.]+", 4, "x"), 7, 7),  # told by pydantic, which wants text
    (ServerUrl(), "http://a", "http://a"),
    (ServerUrl(), "https://a.b:65535/p?q=1@2", "https://a.b:65535/p?q=1@2"),
    (ServerUrl(), "https://[fd00::1]:9090", "https://[fd00::1]:9090"),
    (Origin(), "https://a.b:65535", "https://a.b:65535"),
    (Origin(), "grpc://a:1", "grpc://a:1"),
    (Origin(), "http://[fd00::1]", "http://[fd00::1]"),
    (KeyValues(), "a=b", "a=b"),
    (KeyValues(), f"a={'b' * 4094}", f"a={'b' * 4094}"),
    (KeyValues(), "a=,b=c=d", "a=,b=c=d"),
    (KeyValues(), "authorization=x", "authorization=x"),
    (KeyValues(headers=True), "X-A=1, X-B = 2", "X-A=1, X-B = 2"),
    (IsoDate(), "2028-02-29", "2028-02-29"),
    (ClockTime(), "00:00", "00:00"),
    (ClockTime(), "23:59", "23:59"),
    (ClockTime(), "24:00", "24:00"),
    (ZoneText(), "UTC", "UTC"),
    (ZoneText(), "America/Argentina/Buenos_Aires", "America/Argentina/Buenos_Aires"),
    (CronText(), "*/5 0-8,20 1 JAN mon-fri", "*/5 0-8,20 1 JAN mon-fri"),
    (SelectorText(), "a", "a"),
    (SelectorText(), "!a", "!a"),
    (SelectorText(), "a=b,c==d,e!=f,g in (h, i),j notin (k)", "a=b,c==d,e!=f,g in (h, i),j notin (k)"),
    (SelectorText(), "example.com/a=", "example.com/a="),
    (SizeText(), "Standard_DC4es_v6", "Standard_DC4es_v6"),
    (SizeText(), "node-64", "node-64"),
    (SizeText(), "c3-standard-4", "c3-standard-4"),
    (SizeText(), "n", "n"),
    (SizeText(), "a" * 80, "a" * 80),
]


@pytest.mark.parametrize(("kind", "written", "kept"), TAKEN, ids=[f"{row[0]}: {row[1]!r:.40}" for row in TAKEN])
def test_what_is_just_right_is_kept(kind, written, kept):
    found = kind.checked(written)
    assert found == kept
    assert type(found) is type(kept)


NUMBER = 'write a finite number that is more than 0, for example "1.5"'
PERCENT = 'write a number from 0 to 100 with at most three decimals, for example "12.5"'
ADDRESS = "write it without blanks, for example https://thanos.monitoring.svc:9092"
UNREADABLE = "is no http or https address with a host that can be read in one way only"
ORIGIN = "is not scheme://host:port in lower case, without a path: write for example https://thanos.monitoring.svc:9092"
SIZE = "is not a VM size: write it in full, for example Standard_DC4es_v6"
CREDENTIAL = (
    "is a credential: put it into a TriggerAuthentication, named by authenticationRef, and choose it by authModes"
)
SELECTOR = "is no label selector: write it as kubectl takes it, for example app=web,tier in (front,back)"
DAY = 'is no day: write year, month and day, for example "2026-11-27"'
TIME = 'is no time of day: write hours and minutes with two digits each, for example "08:00"'

#: kind, what is written, the whole sentence
REFUSED = [
    (MetricNumber(), "0", "'0' is too small: write a number of at least 0.001, as metrics have three decimals"),
    (
        MetricNumber(),
        "0.0009",
        "'0.0009' is too small: write a number of at least 0.001, as metrics have three decimals",
    ),
    (MetricNumber(), "9000000000000000.1", "'9000000000000000.1' is too large: a metric is at most 9000000000000000"),
    (MetricNumber(), "nan", f"'nan' is no number: {NUMBER}"),
    (MetricNumber(), float("inf"), f"'inf' is no number: {NUMBER}"),
    (MetricNumber(), "-1", f"'-1' is no number: {NUMBER}"),
    (MetricNumber(), "1" * 41, f"'{'1' * 41}' is no number: {NUMBER}"),
    (MetricNumber(), True, 'True is no number: write a number that is more than 0, for example "1.5"'),
    (MetricNumber(zero=True), "-1", "'-1' is no number: write a finite number that is 0 or more, for example \"1.5\""),
    (MetricNumber(zero=True), None, 'None is no number: write a number that is 0 or more, for example "1.5"'),
    (Percentage(), "100.001", f"'100.001' is no percentage: {PERCENT}"),
    (Percentage(), "0.0001", f"'0.0001' is no percentage: {PERCENT}"),
    (Percentage(), -1, f"'-1' is no percentage: {PERCENT}"),
    (Percentage(), False, 'False is no percentage: write a number from 0 to 100, for example "12.5"'),
    (Quantity("cpu", 1), "0", "'0' is nothing: write an amount of cpu above 0"),
    (Quantity("memory"), True, 'True is no amount of memory: write it as Kubernetes does, for example "4Gi"'),
    (Quantity("memory"), 1.5, '1.5 is no amount of memory: write it as Kubernetes does, for example "4Gi"'),
    (Quantity("cpu"), [], '[] is no amount of cpu: write it as Kubernetes does, for example "500m"'),
    (Switch(), "yes", '\'yes\' is neither true nor false: write "true" or "false"'),
    (Switch(), 1, '1 is neither true nor false: write "true" or "false"'),
    (Timeout(), 0, "0 ms is out of bounds: write a timeout from 1 ms to 60000 ms"),
    (Timeout(), 60_001, "60001 ms is out of bounds: write a timeout from 1 ms to 60000 ms"),
    (Timeout(), "x", '\'x\' is no timeout: write milliseconds, for example "3000", or a duration, for example "3s"'),
    (Timeout(), True, 'True is no timeout: write milliseconds, for example "3000", or a duration, for example "3s"'),
    (WholeNumber(-5, 5), "-6", "-6 is out of bounds: write a whole number from -5 to 5"),
    (WholeNumber(-5, 5), 6, "6 is out of bounds: write a whole number from -5 to 5"),
    (Matching("[a-z]+", 4, "a word"), "abcde", "'abcde' is not a word"),
    (Matching("[a-z]+", 4, "a word"), "aBc", "'aBc' is not a word"),
    (ServerUrl(), "ftp://a", f"'ftp://a' {UNREADABLE}: {ADDRESS}"),
    (ServerUrl(), "https://a:65536", f"'https://a:65536' {UNREADABLE}: {ADDRESS}"),
    (ServerUrl(), "https://a:0", f"'https://a:0' {UNREADABLE}: {ADDRESS}"),
    (ServerUrl(), "grpc://a:1", f"'grpc://a:1' {UNREADABLE}: {ADDRESS}"),
    (ServerUrl(), "https://a b", f"'https://a b' is no address: {ADDRESS}"),
    (ServerUrl(), "", f"'' is no address: {ADDRESS}"),
    (
        ServerUrl(),
        "https://u:p@a",
        "holds a user or a password: put them into a TriggerAuthentication, named by authenticationRef",
    ),
    (Origin(), "https://a/", f"'https://a/' {ORIGIN}"),
    (Origin(), "https://A", f"'https://A' {ORIGIN}"),
    (Origin(), "https://a:65536", f"'https://a:65536' {ORIGIN}"),
    (Origin(), "grpc://a", f"'grpc://a' {ORIGIN}"),
    (KeyValues(), "a", "'a' is no pair: write name=value, and a comma between pairs"),
    (KeyValues(), "a=b,", "'' is no pair: write name=value, and a comma between pairs"),
    (KeyValues(), "a=b, =c", "' =c' is no pair: write name=value, and a comma between pairs"),
    (KeyValues(), "a=1,a=2", "names 'a' twice: remove one"),
    (KeyValues(headers=True), "X-A=1,x-a=2", "names 'x-a' twice: remove one"),
    (KeyValues(), f"a={'b' * 4095}", "is longer than 4096 characters: write less"),
    (KeyValues(headers=True), "Authorization=x", f"authorization {CREDENTIAL}"),
    (
        KeyValues(headers=True),
        "X-Scope-OrgID=bank,Host=other.bank",
        "host is not a policy's to set: it says whom a request is for, which is the address that the target allows",
    ),
    (
        Origin(),
        "http://169.254.169.254",
        "'http://169.254.169.254' can't be allowed, as machines get their credentials there: name a server of metrics",
    ),
    (
        Origin(),
        "http://[::ffff:a9fe:a9fe]:80",
        "'http://[::ffff:a9fe:a9fe]:80' can't be allowed, as machines get their credentials there: name a server of metrics",
    ),
    (KeyValues(headers=True), "X=1,Cookie=x", f"cookie {CREDENTIAL}"),
    (KeyValues(headers=True), "a b=1", "'a b' is no name of an HTTP header"),
    (IsoDate(), "2026-02-29", f"'2026-02-29' {DAY}"),
    (IsoDate(), "20260201", f"'20260201' {DAY}"),
    (IsoDate(), "2026-W05-1", f"'2026-W05-1' {DAY}"),
    (ClockTime(), "24:01", f"'24:01' {TIME}"),
    (ClockTime(), "8:00", f"'8:00' {TIME}"),
    (ClockTime(), 480, '480 is no time of day: write hours and minutes in quotes, for example "08:00"'),
    (ZoneText(), "Berlin", "Berlin is no time zone: did you mean Europe/Berlin?"),
    (ZoneText(), "a b", "'a b' is no time zone: write an IANA name like Europe/Berlin"),
    (ZoneText(), "A" * 65, f"'{'A' * 62}… is no time zone: write an IANA name like Europe/Berlin"),
    (
        CronText(),
        "0 8 * *",
        "the cron expression '0 8 * *' has 4 fields: cron has five (minute hour day month weekday).",
    ),
    (CronText(), "0 8 * * *\n", "'0 8 * * *\\n' is no cron expression: write five fields, for example 0 8 * * 1-5"),
    (SelectorText(), "a b", f"'a b' {SELECTOR}"),
    (SelectorText(), "a=b,", f"'' {SELECTOR}"),
    (SelectorText(), "a in (b", f"'a in (b' {SELECTOR}"),
    (SelectorText(), "", f"'' {SELECTOR}"),
    (SizeText(), "DC4es_v6", f"'DC4es_v6' {SIZE}"),
    (SizeText(), "standard_DC4es_v6", f"'standard_DC4es_v6' {SIZE}"),
    (SizeText(), "-a", f"'-a' {SIZE}"),
    (SizeText(), "a" * 81, f"'{'a' * 62}… {SIZE}"),
]


@pytest.mark.parametrize(("kind", "written", "sentence"), REFUSED, ids=[f"{row[0]}: {row[1]!r:.40}" for row in REFUSED])
def test_what_is_just_wrong_is_told_in_a_sentence(kind, written, sentence):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (the sentence is compared whole)
        kind.checked(written)
    assert str(caught.value) == sentence


def test_days_of_the_week_may_pass_its_end():
    assert days_of(("Mon",)) == (0,)
    assert days_of(("Mon-Fri", "Sun")) == (0, 1, 2, 3, 4, 6)
    assert days_of(("Fri-Mon",)) == (0, 4, 5, 6)
    assert days_of(("Sun-Sun",)) == (6,)
    assert days_of(("Tue-Mon",)) == (0, 1, 2, 3, 4, 5, 6)
    assert days_of(()) == ()


def test_pairs_keep_what_is_behind_the_first_equals_sign():
    assert pairs_of("a=b=c, d = e,f=") == {"a": "b=c", "d": "e", "f": ""}
    assert pairs_of(None) == pairs_of("") == {}


def test_the_arithmetic_of_thresholds():
    assert [threshold_milli(text) for text in ("1", "1.001", "0.29", "4.35")] == [1000, 1000, 290, 4350]
    assert [activation_milli(text) for text in ("1", "1.001", "1.0019", "0")] == [1000, 1001, 1001, 0]
    assert [percent_milli(text) for text in ("0", "12.5", "99.999")] == [0, 12_500, 99_999]


def test_a_kind_that_leaves_out_a_part_can_not_be_made():
    class OnlyChecks(Kind):
        def _check(self, value):
            return value

    with pytest.raises(TypeError, match="_json_schema"):
        OnlyChecks()
