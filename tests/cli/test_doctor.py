"""`burster doctor`: how what was found is printed, as a table and as one document, and what its exit codes are."""

import json

import pytest

from burster.runtime import doctor as runtime_doctor
from burster.runtime.doctor import Report, TargetReport, Told


OK = Told(
    check="RegionUnknown", group="Cloud", title="the region is there", verdict="ok", sentence="westeurope, one of 7."
)
WARNING = Told(
    check="RolesTooBroad",
    group="Cloud",
    title="no more than that",
    verdict="warning",
    sentence="It may do all.",
    cure="Take it off.",
)
PROBLEM = Told(
    check="ConfidentialVmsDisabled",
    group="Peer pods",
    title="VMs are confidential",
    verdict="problem",
    sentence="DISABLECVM is \x1b[31mtrue.",
    cure="Mend it.",
    blocks=True,
)


def a_report(*findings: Told, refused: str = "") -> Report:
    target = TargetReport(target="azure", provider="azure", findings=findings, refused=refused)
    return Report(at_ms=0, cluster="https://user:pw@api.bank:6443/secret", findings=(OK,), targets=(target,))


@pytest.fixture
def found(monkeypatch):
    """Have the next command find what it is told to find, and remember what it was asked."""
    asked = []

    def find(report: Report) -> list:
        async def examine_all(settings, options, tell, agrees):
            asked.append((settings, options))
            tell("everything")
            return report

        monkeypatch.setattr(runtime_doctor, "examine_all", examine_all)
        return asked

    return find


def test_a_table_shows_each_check_with_its_cure_in_groups(burster, found):
    found(a_report(PROBLEM, OK, WARNING))
    code, out, err = burster("doctor")
    assert (code, err) == (1, "")
    lines = [line.rstrip() for line in out.splitlines()]
    assert lines[0] == "cluster  https://api.bank:6443", (
        "no path and no password: the lab and some proxies have a secret there"
    )
    assert lines[3:5] == ["azure  azure", "  Peer pods"]
    assert lines[5].startswith("  ✗ VMs are confidential ")
    assert lines[5].endswith("DISABLECVM is \\x1b[31mtrue.")
    assert lines[6].strip() == "→ Mend it."
    assert (
        lines[-1]
        == "2 right, 1 worth a look, 1 wrong. Nothing new starts at azure until what is wrong there is mended."
    )


def test_warnings_are_allowed(burster, found):
    found(a_report(OK, WARNING))
    code, out, _ = burster("doctor")
    assert code == 0
    assert out.rstrip().endswith("2 right, 1 worth a look.")


def test_a_target_that_is_not_valid_is_a_problem(burster, found):
    found(a_report(refused="spec.sizes: is required."))
    code, out, _ = burster("doctor")
    assert code == 1
    assert "It is not valid: spec.sizes: is required." in out


def test_json_is_one_document(burster, found):
    found(a_report(PROBLEM))
    code, out, err = burster("doctor", "-o", "json")
    assert (code, err) == (1, "")
    report = json.loads(out)
    assert report["targets"][0]["findings"][0]["check"] == "ConfidentialVmsDisabled"
    assert report["targets"][0]["findings"][0]["blocks"] is True


def test_flags_say_what_is_looked_at(burster, found):
    asked = found(a_report(OK))
    burster("doctor", "--target", "azure", "--offline", "--context", "bank")
    ((settings, options),) = asked
    assert (options.target, options.offline, options.rules) == ("azure", True, None)
    assert settings.kube.context == "bank"


def test_a_file_without_a_target_is_an_input_error(burster, found, tmp_path):
    found(a_report(OK))
    file = tmp_path / "policy.yaml"
    file.write_text("")
    code, out, err = burster("doctor", "-f", file)
    assert (code, out) == (2, "")
    assert err.startswith("burster: ")
    assert len(err.splitlines()) == 1
