"""What is made from the code or from a run is what stands in the documents; `make reference` writes it anew."""

import re

import pytest

from burster.engine.bursts.lifecycle import EDGES
from burster.ledger import Ledger
from burster.surfaces.words import _BY_VERDICT
from tools.reference import reasons
from tools.reference.consoles import run_consoles
from tools.reference.doctor_shown import doctor_example
from tools.reference.pages import pages
from tools.reference.shown import DOCTOR, GUIDE, ROOT, decision, guide, life_of_a_burst, rule_of, show


README, ARCHITECTURE = ROOT / "README.md", ROOT / "docs" / "architecture.md"


@pytest.mark.parametrize(("name", "text"), pages().items(), ids=pages())
def test_the_reference_is_what_the_code_makes(name, text):
    assert (ROOT / name).read_text("utf-8") == text, "run: make reference"


def test_the_life_of_a_burst_is_the_table():
    page = ARCHITECTURE.read_text("utf-8")
    assert show(page, "life", life_of_a_burst()) == page, "run: make reference"
    for old, new in EDGES:
        # a colon or a semicolon would end the label, and Mermaid would not draw the picture
        assert re.search(rf"^    {old} --> {new}: [^:;]+$", page, re.MULTILINE)


def test_the_readme_shows_what_the_demo_really_decided(demo_run):
    page = README.read_text("utf-8")
    said, policy = decision(demo_run)
    assert show(page, "decision", said) == page, "run: make reference"
    assert show(page, "rule", rule_of(policy)) == page, "run: make reference"


def test_the_guide_shows_what_the_code_has_and_the_commands_print():
    page = GUIDE.read_text("utf-8")
    assert guide(page) == page, "run: make reference"
    assert page.count("```console") > 4


def test_the_readme_shows_what_the_commands_print():
    page = README.read_text("utf-8")
    assert run_consoles(page) == page, "run: make reference"


def test_the_page_about_doctor_shows_what_it_says_of_a_sick_lab():
    page = DOCTOR.read_text("utf-8")
    assert show(page, "doctor", doctor_example()) == page, "run: make reference"


def test_a_shown_commands_old_output_is_replaced_and_other_blocks_stay():
    command = "$ .venv/bin/burster policy test docs/examples"
    page = f"```console\n{command}\nyesterday's\n```\n\n```console\n$ ls\nmine\n```\n"
    made = run_consoles(page)
    assert made.startswith(f"```console\n{command}\n3 passed, 0 failed in 1 file\n```\n")
    assert made.endswith("```console\n$ ls\nmine\n```\n")


def test_what_the_readme_says_about_the_decision_is_in_it(demo_run):
    said, _ = decision(demo_run)
    order = [
        r"TooYoung: ",
        r"PolicyMaxBursts: ",
        r"PolicyBudget: ",
        r"  Burst at ",
        r"StrategyMove: ",
        r"Cheapest: .* TDX",
        r"Reserved: ",
    ]
    order += [
        r"the Burst is recorded",
        r"the cloud pod is placed",
        r"is Succeeded\n",
        r"phase Serving",
        r"confirms that no VM is there",
    ]
    order += [r"settled for \$"]
    places = [match.start() if (match := re.search(pattern, said)) else -1 for pattern in order]
    assert -1 not in places, dict(zip(order, places, strict=True))
    assert places == sorted(places), dict(zip(order, places, strict=True))


def test_a_place_that_a_page_does_not_have_is_an_error():
    with pytest.raises(LookupError, match="no one place"):
        show("a page", "life", "")


def test_the_demo_gives_only_documented_reasons_with_the_documented_verdicts(demo_run):
    page = (ROOT / "docs" / "reference" / "reasons.md").read_text("utf-8")
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \|", page, re.MULTILINE)
    verdicts = {code: set(verdict.strip().split(" or ")) for code, verdict in rows}
    with Ledger.read(demo_run / "ledger.sqlite") as ledger:
        given = {(decision.reasons[0].code, decision.verdict) for decision in ledger.decisions()}
    assert len(given) > 5
    assert {(code, verdict) for code, verdict in given if verdict not in verdicts.get(code, ())} == set()


def test_every_refusal_says_what_would_change_it_in_words_of_its_own():
    assert [code for code in reasons._REFUSALS if reasons._change(code) in _BY_VERDICT.values()] == []


SOURCE = """
def judge(state, name):
    sentence = f"{name} is late."
    if state:
        return Reason(code="Late", sentence=sentence)
    return Reason(code={code}, sentence="x")
"""


def test_a_code_that_the_page_can_not_read_is_an_error(tmp_path):
    (tmp_path / "gates.py").write_text(SOURCE.replace("{code}", '"Known"'))
    assert [(one.code, one.sentence) for one in reasons.find_reasons(tmp_path)] == [
        ("Late", "… is late."),
        ("Known", "x"),
    ]
    (tmp_path / "gates.py").write_text(SOURCE.replace("{code}", "name.upper()"))
    with pytest.raises(LookupError, match=r"gates.py:6: what codes can name.upper\(\) give"):
        reasons.find_reasons(tmp_path)


def test_a_new_code_in_the_engine_is_an_error_until_it_is_described(tmp_path, monkeypatch):
    (tmp_path / "gates.py").write_text(SOURCE.replace("{code}", '"Known"'))
    monkeypatch.setattr(reasons.find_reasons, "__defaults__", (tmp_path,))
    with pytest.raises(LookupError, match=r"does not know: \['Known', 'Late'\]"):
        reasons.reasons_page()
