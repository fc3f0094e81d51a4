"""No pattern that is accepted can hold the engine up; ordinary ones are accepted."""

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from burster.policy.fields.patterns import check_pattern


@pytest.mark.parametrize(
    "pattern",
    [
        "on-prem-deployment.*",
        ".*",
        "web-(blue|green)-[a-z0-9]{5}",
        "(payments|ledger|fraud|risk|treasury)-.*",
        "payments-.*|ledger-.*|fraud-.*|risk-.*|treasury-.*",
        r"team-[a-z]+-.*-v[0-9]+",
        r"batch\.[0-9]{1,4}",
        "(?:a|b)?c",
        "[]a]b*",
        "[*+?|()]{3}[^]*+?]web",
        r"[\]*+?({]\*\+\(",
        "x{2",
        "{a}",
        "(ab){3}",
        "(ab)*",
    ],
)
def test_ordinary_patterns_are_accepted(pattern):
    check_pattern(pattern)


REFUSED = {
    "unclosed": ("web-(", "no regular expression"),
    "possible set in a set": ("[[a]", "no regular expression"),
    "too many repeats": ("a{99999999999}", "no regular expression"),
    "repeat of a repeat": ("(a+)+", "for ever"),
    "repeat of a choice": ("(a|aa)*", "for ever"),
    "repeat of an option": ("(a?)*", "for ever"),
    "bounded repeat of a repeat": ("(a{1,8}b){20}", "for ever"),
    "nested deeper": ("((a*)b)+", "for ever"),
    "open repetitions in a row": (".*.*.*.*x", "too much open"),
    "bounded but wide": ("a{0,253}a{0,253}a{0,253}a{0,253}", "too much open"),
    "{,} is open too": ("a{,}a{,}a{,}a{,}", "too much open"),
    "many options": ("a?" * 40 + "a" * 40, "too much open"),
    "many choices": ("(a|aa)" * 30, "too much open"),
    "look-ahead": ("(?=a)b", "not supported"),
    "look-behind": ("(?<=a)b", "not supported"),
    "flags": ("(?i)web", "not supported"),
    "a named group": ("(?P<n>a)", "not supported"),
    "an atomic group": ("(?>a)", "not supported"),
    "a back-reference": (r"(a)\1", "refers back"),
}


@pytest.mark.parametrize(("pattern", "words"), REFUSED.values(), ids=REFUSED)
def test_costly_and_foreign_patterns_are_refused_with_a_reason(pattern, words):
    with pytest.raises(ValueError, match=words):
        check_pattern(pattern)


pieces = st.lists(
    st.sampled_from(
        ["a", ".", "[a-c]", "(", ")", "|", "*", "+", "?", "{2}", "{1,3}", "{0,90}", "{2,}", "(?:", "x", r"\w", "[^b]"]
    ),
    max_size=14,
).map("".join)


@settings(max_examples=400, deadline=None)
@given(pieces, st.sampled_from(["a" * 253, "ab" * 126, "a" * 252 + "!"]))
def test_every_accepted_pattern_is_quick_on_the_longest_names(pattern, name):
    try:
        check_pattern(pattern)
    except ValueError:
        return
    before = time.process_time()
    re.compile(pattern).fullmatch(name)
    assert time.process_time() - before < 1.0
