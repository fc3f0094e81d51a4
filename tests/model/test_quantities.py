"""Quantities, durations and money: Kubernetes' grammar, exact integers, rounded once and to the safe side."""

from decimal import ROUND_CEILING, Decimal, localcontext
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from burster.model.errors import InputError, QuantityError
from burster.model.quantities import (
    QUANTITY_MAX,
    cost_micro_usd,
    format_duration_ms,
    format_memory_bytes,
    format_micro_usd,
    parse_count,
    parse_cpu_millicores,
    parse_duration_ms,
    parse_memory_bytes,
    parse_micro_usd,
)


CPU = {
    "0": 0,
    "2": 2000,
    "+2": 2000,
    "-0": 0,
    "500m": 500,
    "0.5": 500,
    ".5": 500,
    "5.": 5000,
    "1.5": 1500,
    "1k": 1_000_000,
    "1e3": 1_000_000,
    "1E3": 1_000_000,
    "1e+3": 1_000_000,
    "5e-1": 500,
    "100u": 1,  # a part of a millicore counts as one
    "1n": 1,
    "1e-9": 1,
    "1e-99": 1,  # Kubernetes rounds up to a nano first
    "0.0001": 1,
    "1.0001": 1001,
    "1.00000000000000000000000000000000000000000000000001": 1001,
    "000002": 2000,
    "1Ki": 1_024_000,
    "1.5Ki": 1_536_000,
}


@pytest.mark.parametrize(("text", "want"), CPU.items(), ids=CPU)
def test_cpu_is_millicores_rounded_up(text, want):
    assert parse_cpu_millicores(text) == want


MEMORY = {
    "0": 0,
    "128974848": 128_974_848,
    "129e6": 129_000_000,
    "129M": 129_000_000,
    "128974848000m": 128_974_848,
    "123Mi": 128_974_848,
    "1Ki": 1024,
    "1k": 1000,
    "1E": 10**18,
    "1Ei": 2**60,
    "1E1": 10,
    "7.9Ei": 9108079886394091111,
    "0.5Gi": 2**29,
    "1m": 1,
    "1.5": 2,
    "9223372036854775807": QUANTITY_MAX,
    "9223372036854775806.5": QUANTITY_MAX,
    "1Ti": 2**40,
    "1Pi": 2**50,
    "1P": 10**15,
    "1T": 10**12,
    "1G": 10**9,
}


@pytest.mark.parametrize(("text", "want"), MEMORY.items(), ids=MEMORY)
def test_memory_is_bytes_rounded_up(text, want):
    assert parse_memory_bytes(text) == want


NO_QUANTITY = {
    "cores in words": "12 cores",
    "nothing": "",
    "a blank": " ",
    "a blank before": " 1",
    "a blank behind": "1 ",
    "a line end": "1\n",
    "negative": "-1",
    "negative part": "-1m",
    "beyond reason": "1e400",
    "a long exponent": "1e4000",
    "exponent beyond": "1e19",
    "one too many": "9223372036854775808",
    "8 Ei": "8Ei",
    "NaN": "NaN",
    "infinity": "inf",
    "Infinity": "Infinity",
    "hexadecimal": "0x10",
    "an underscore": "1_000",
    "a comma": "1,5",
    "two points": "1.2.3",
    "a point": ".",
    "a sign": "-",
    "two signs": "--1",
    "a suffix": "Mi",
    "a capital K": "1K",
    "small ki": "1ki",
    "a byte": "1B",
    "GB": "1GB",
    "MiB": "1MiB",
    "micro": "1µ",
    "two suffixes": "1Mik",
    "an exponent and a suffix": "1e3Mi",
    "an exponent of nothing": "1e",
    "a fraction as exponent": "1e1.5",
    "a blank in it": "1 Gi",
    "Arabic digits": "\u0661\u0662",
    "full-width digits": "\uff11\uff12",
    "very long": "1" * 10_000,
    "a null byte": "1\x00",
    "a boolean": "True",
}


@pytest.mark.parametrize("text", NO_QUANTITY.values(), ids=NO_QUANTITY)
@pytest.mark.parametrize(
    "parse", [parse_cpu_millicores, parse_memory_bytes, parse_count], ids=["cpu", "memory", "count"]
)
def test_what_is_no_quantity_is_refused_in_a_short_sentence(parse, text):
    with pytest.raises(QuantityError) as caught:
        parse(text)
    assert isinstance(caught.value, InputError)
    assert len(str(caught.value)) < 250
    assert "\n" not in str(caught.value)


def test_cpu_beyond_64_bit_millicores_is_refused():
    assert parse_cpu_millicores("9223372036854775807m") == QUANTITY_MAX
    with pytest.raises(QuantityError, match="typing error"):
        parse_cpu_millicores("9223372036854775808m")


def test_counts_are_whole():
    assert [parse_count(text) for text in ("0", "3", "1k", "2000m", "1.0", "3e0")] == [0, 3, 1000, 2, 1, 3]
    for text in ("1.5", "1m", "1n", "0.1"):
        with pytest.raises(QuantityError, match="whole number"):
            parse_count(text)


SUFFIXES = {
    "n": Fraction(1, 10**9), "u": Fraction(1, 10**6), "m": Fraction(1, 1000), "": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12,
    "P": 10**15, "E": 10**18, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50, "Ei": 2**60, "e-7": Fraction(1, 10**7),
    "E5": 10**5,
}  # fmt: skip


@given(
    st.from_regex(r"[0-9]{1,20}(\.[0-9]{0,20})?|\.[0-9]{1,20}", fullmatch=True).filter(str.isascii),
    st.sampled_from(sorted(SUFFIXES)),
)
@example("0.0000000000000000000000000001", "Ei")
def test_any_quantity_is_exact(number, suffix):
    """Compared with plain fractions: rounded up to a nano as Kubernetes does, then up to a byte or millicore."""
    nanos = Fraction(Decimal(f"0{number}" if number.startswith(".") else number)) * SUFFIXES[suffix] * 10**9
    nanos = -(-nanos.numerator // nanos.denominator)
    value = Fraction(nanos, 10**9)
    for parse, scale in ((parse_memory_bytes, 1), (parse_cpu_millicores, 1000)):
        want = -(-(value * scale).numerator // (value * scale).denominator)
        if want > QUANTITY_MAX or value > QUANTITY_MAX:
            with pytest.raises(QuantityError):
                parse(number + suffix)
        else:
            assert parse(number + suffix) == want


DURATIONS = {
    "0": 0,
    "0s": 0,
    "250ms": 250,
    "30s": 30_000,
    "1.5s": 1500,
    "5m": 300_000,
    "1h30m": 5_400_000,
    "30m1h": 5_400_000,
    "1d": 86_400_000,
    "366d": 366 * 86_400_000,
    "1h1m1s1ms": 3_661_001,
    "0.1ms": 1,  # what is something never becomes nothing
    "1.0001s": 1001,
    "00030s": 30_000,
}


@pytest.mark.parametrize(("text", "want"), DURATIONS.items(), ids=DURATIONS)
def test_durations_are_milliseconds(text, want):
    assert parse_duration_ms(text) == want


NO_DURATION = [
    "", " ", "30", "1", "00", "-30s", "+30s", "30 s", "30s ", " 30s", "30sec", "1w", "1y", "5M", "1H", "1:30", "1h 30m", "s", "1.s",
    ".5s", "1..5s",    "1e3s", "NaN", "inf", "infs", "\u0663s", "30s\n", "367d", "366d1ms", "999999999999h",
    "1" * 9_999 + "s", "30s30", "1us", "1ns", "PT30S",
    "1_0s",
]  # fmt: skip


@pytest.mark.parametrize("text", NO_DURATION, ids=[ascii(text)[:20] for text in NO_DURATION])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(QuantityError) as caught:
        parse_duration_ms(text)
    assert len(str(caught.value)) < 200


@given(st.integers(0, 366 * 86_400_000))
def test_a_duration_reads_as_it_was_written(duration_ms):
    assert parse_duration_ms(format_duration_ms(duration_ms)) == duration_ms


def test_durations_are_shown_in_gos_way():
    shown = {
        0: "0ms",
        250: "250ms",
        1000: "1s",
        1500: "1.5s",
        60_000: "1m",
        3_900_000: "1h5m",
        86_400_000: "24h",
        3_600_001: "1h0.001s",
    }
    assert {duration_ms: format_duration_ms(duration_ms) for duration_ms in shown} == shown


MONEY = {
    "0": 0, "12.50": 12_500_000, "1": 1_000_000, "0.0504": 50_400, "1e3": 10**9, "5e-05": 50, "1000000000": 10**15, "0.0000005": 1,
    "0.0000004": 0, "2.": 2_000_000,
}  # fmt: skip


@pytest.mark.parametrize(("text", "want"), MONEY.items(), ids=MONEY)
def test_money_is_micro_usd(text, want):
    assert parse_micro_usd(text) == want


NO_MONEY = [
    "", " ", "-1", "-0.01", "$5", "5$", "5 USD", "5,00", "1.000,00", "1_000", " 5", "5 ", "5\n", "NaN", "nan", "sNaN", "inf", "-inf",
    "Infinity",    "1e400",    "1e99", "1000000001", "1e10", "\u0665", "0x5", "+5", ".5", "five", "1" * 9_999, "1e", "True",
]  # fmt: skip


@pytest.mark.parametrize("text", NO_MONEY, ids=[ascii(text)[:20] for text in NO_MONEY])
def test_what_is_no_money_is_refused(text):
    with pytest.raises(QuantityError, match="money") as caught:
        parse_micro_usd(text)
    assert len(str(caught.value)) < 200


@given(st.integers(0, 10**15))
def test_money_reads_as_it_was_written(micro_usd):
    with localcontext(prec=40):
        text = str(Decimal(micro_usd) / 1_000_000)
    assert parse_micro_usd(text) == micro_usd


@given(st.integers(-(10**18), 10**18))
def test_money_is_shown_with_four_exact_decimals(micro_usd):
    shown = format_micro_usd(micro_usd)
    value = Decimal(shown.replace("$", ""))
    assert abs(value * 1_000_000 - micro_usd) <= 50
    assert len(shown.split(".")[1]) == 4
    assert ("-" in shown) == (value < 0)


def test_money_is_shown_to_people():
    shown = {
        0: "$0.0000",
        12_345: "$0.0123",
        50: "$0.0001",
        49: "$0.0000",
        -49: "$0.0000",
        -12_500_000: "-$12.5000",
        999_999: "$1.0000",
    }
    assert {micro_usd: format_micro_usd(micro_usd) for micro_usd in shown} == shown


@given(st.integers(0, 2**62))
def test_memory_reads_as_it_was_written(memory_bytes):
    assert parse_memory_bytes(format_memory_bytes(memory_bytes)) == memory_bytes


def test_memory_is_shown_in_the_largest_unit_that_divides_it():
    shown = {
        0: "0",
        1: "1",
        1024: "1Ki",
        1536: "1536",
        4 * 2**30: "4Gi",
        2**40: "1Ti",
        2**50: "1024Ti",
        512 * 2**20: "512Mi",
    }
    assert {memory_bytes: format_memory_bytes(memory_bytes) for memory_bytes in shown} == shown


@given(st.integers(0, 10**9), st.integers(0, 366 * 86_400_000), st.integers(0, 366 * 86_400_000))
def test_a_cost_is_never_below_the_true_price_and_less_than_a_micro_above(price, first_ms, second_ms):
    true = Fraction(price * first_ms, 3_600_000)
    assert true <= cost_micro_usd(price, first_ms) < true + 1
    assert cost_micro_usd(price, first_ms) == int(
        (Decimal(true.numerator) / Decimal(true.denominator)).to_integral_value(ROUND_CEILING)
    )
    # setting aside for two stretches one by one never sets aside less than for both at once
    assert cost_micro_usd(price, first_ms) + cost_micro_usd(price, second_ms) >= cost_micro_usd(
        price, first_ms + second_ms
    )
