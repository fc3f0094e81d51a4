"""Whatever a person gets wrong in a file is told in one sentence with its place, and all of it at once."""

import os
import re

import pytest

from burster.policy import load
from burster.policy.compile import compile_documents
from burster.policy.errors import PolicyErrors
from burster.policy.load import FILE_BYTES_MAX, load_files, load_text


POLICY = """\
apiVersion: burster.dev/v1alpha1
kind: BurstPolicy
metadata:
  name: classic
spec:
  workload:
    podNamePattern: on-prem-deployment.*
  triggers:
  - type: pending-pods
    metadata:
      pendingFor: 30s
      minCount: 1
  limits:
    maxBursts: 4
    maxVcpus: 16
    budget:
      perHour: 2.50
  placement:
    targets: [azure]
    sizes: [Standard_DC4es_v6]
    lease: 50m
  confidential:
    tees: [TDX]
    secureBoot: true
  priority: 1
  cooldownPeriod: 300
"""
TARGET = """\
apiVersion: burster.dev/v1alpha1
kind: BurstTarget
metadata:
  name: azure
spec:
  azure:
    subscriptionId: 00000000-0000-0000-0000-000000000000
    resourceGroup: burst
    region: westeurope
  sizes: [Standard_DC4es_v6]
  allowedNamespaces: ["*"]
  trustee: {url: "https://trustee.bank.example"}
  launchDeadline: 5m
  sweep: {grace: 5m}
"""


def problems_of(text, source="rules.yaml"):
    with pytest.raises(PolicyErrors) as caught:
        compile_documents(load_text(text, source))
    for problem in caught.value.problems:
        assert "\n" not in problem.message
        assert len(problem.message) < 600
        assert str(problem).startswith(source)
    return caught.value.problems


def the_problem(text):
    (problem,) = problems_of(text)
    return problem


def test_the_texts_these_tests_start_from_are_valid():
    assert [document.key for document in load_text(f"{POLICY}---\n{TARGET}")] == ["default/classic", "azure"]


WORKLOAD = "workload:\n    podNamePattern: on-prem-deployment.*"
PAUSED = "name: classic\n  annotations: {burster.dev/paused: true}"
HEAD = "apiVersion: burster.dev/v1alpha1\nkind: BurstPolicy"
KEDA_HEAD = "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject"

#: what is written, in place of which line, and what is said: field, column, words
WRONG_VALUES = {
    "cores in words": ("maxVcpus: 16", "maxVcpus: 12 cores", "spec.limits.maxVcpus", 15, "whole number, found the text '12 cores'"),
    "a negative count": ("maxBursts: 4", "maxBursts: -1", "spec.limits.maxBursts", 16, "expected 0 or more, found the number -1"),
    "a fraction of a count": ("maxBursts: 4", "maxBursts: 1.5", "spec.limits.maxBursts", 16, "whole number"),
    "a huge count": ("maxBursts: 4", "maxBursts: 99999999999999999999999", "spec.limits.maxBursts", 16, "10000 or less"),
    "a count in quotes": ("maxBursts: 4", 'maxBursts: "4"', "spec.limits.maxBursts", 16, "whole number"),
    "sexagesimal for a count": ("maxBursts: 4", "maxBursts: 1:30", "spec.limits.maxBursts", 16, "'1:30'"),
    "octal for a count": ("maxBursts: 4", "maxBursts: 010", "spec.limits.maxBursts", 16, "octal"),
    "new octal for a count": ("maxBursts: 4", "maxBursts: 0o10", "spec.limits.maxBursts", 16, "octal"),
    "a list for a count": ("maxBursts: 4", "maxBursts: [4, 5]", "spec.limits.maxBursts", 16, "found a list of 2"),
    "a mapping for a count": ("maxBursts: 4", "maxBursts: {a: 4}", "spec.limits.maxBursts", 16, "found a mapping"),
    "a boolean for a count": ("maxBursts: 4", "maxBursts: yes", "spec.limits.maxBursts", 16, "the boolean true"),
    "a null": ("maxBursts: 4", "maxBursts: null", "spec.limits.maxBursts", 16, "has no value"),
    "a field left empty": ("maxBursts: 4", "maxBursts:", "spec.limits.maxBursts", 15, "has no value"),
    "negative money": ("perHour: 2.50", "perHour: -1", "spec.limits.budget.perHour", 16, "between 0 and 1000000000 USD"),
    "money beyond reason": ("perHour: 2.50", "perHour: 1e400", "spec.limits.budget.perHour", 16, "'1e400'"),
    "not a number": ("perHour: 2.50", "perHour: .nan", "spec.limits.budget.perHour", 16, "no amount of money"),
    "infinite money": ("perHour: 2.50", "perHour: .inf", "spec.limits.budget.perHour", 16, "no amount of money"),
    "NaN in quotes": ("perHour: 2.50", 'perHour: "NaN"', "spec.limits.budget.perHour", 16, "no amount of money"),
    "a dollar sign": ("perHour: 2.50", "perHour: $2", "spec.limits.budget.perHour", 16, '"12.50"'),
    "a decimal comma": ("perHour: 2.50", 'perHour: "2,50"', "spec.limits.budget.perHour", 16, '"12.50"'),
    "a boolean for money": ("perHour: 2.50", "perHour: on", "spec.limits.budget.perHour", 16, "no amount of money"),
    "a list for money": ("perHour: 2.50", "perHour: [2]", "spec.limits.budget.perHour", 16, "no amount of money"),
    "a duration without unit": ("pendingFor: 30s", "pendingFor: 30", "spec.triggers[0].metadata.pendingFor", 19, '"30s"'),
    "a negative duration": ("pendingFor: 30s", "pendingFor: -30s", "spec.triggers[0].metadata.pendingFor", 19, "no duration"),
    "a duration in words": ("pendingFor: 30s", "pendingFor: 30 sec", "spec.triggers[0].metadata.pendingFor", 19, '"30s"'),
    "sexagesimal for a duration": ("pendingFor: 30s", "pendingFor: 1:30", "spec.triggers[0].metadata.pendingFor", 19, "no duration"),
    "a duration beyond its bounds": ("lease: 50m", "lease: 30d", "spec.placement.lease", 12, "from 1m to 24h"),
    "a duration for seconds": ("cooldownPeriod: 300", "cooldownPeriod: 5m", "spec.cooldownPeriod", 19, "Seconds"),
    "minCount of 0": ("minCount: 1", "minCount: 0", "spec.triggers[0].metadata.minCount", 17, "from 1 to 10000"),
    "minCount in words": ("minCount: 1", "minCount: one", "spec.triggers[0].metadata.minCount", 17, "whole number"),
    "another trigger": ("type: pending-pods", "type: kafka", "spec.triggers[0].type", 11, "use one of pending-pods, prometheus"),
    "where cooldownPeriod was": ("lease: 50m", "cooldownPeriod: 60", "spec.placement.cooldownPeriod", 5, "is now spec.cooldownPeriod"),
    "a list for a mapping": (WORKLOAD, "workload: [a]", "spec.workload", 13, "expected a mapping"),
    "text for a mapping": (WORKLOAD, "workload: web", "spec.workload", 13, "expected a mapping"),
    "a mapping for a list": ("targets: [azure]", "targets: {azure: 1}", "spec.placement.targets", 14, "expected a list"),
    "text for a list": ("targets: [azure]", "targets: azure", "spec.placement.targets", 14, "expected a list"),
    "an empty list": ("targets: [azure]", "targets: []", "spec.placement.targets", 14, "at least 1"),
    "the same twice": ("targets: [azure]", "targets: [azure, azure]", "spec.placement.targets", 14, "names 'azure' twice"),
    "a number for a name": ("targets: [azure]", "targets: [7]", "spec.placement.targets[0]", 15, 'write "7"'),
    "no for a name (Norway)": ("targets: [azure]", "targets: [no]", "spec.placement.targets[0]", 15, 'write "no"'),
    "a name in capitals": ("name: classic", "name: Classic", "metadata.name", 9, "lower-case letters"),
    "a name that is too long": ("name: classic", f"name: {'a' * 64}", "metadata.name", 9, "at most 63"),
    "an annotation that is no text": ("name: classic", PAUSED, 'metadata.annotations["burster.dev/paused"]', 37, 'write "true"'),
    "a size in short": ("[Standard_DC4es_v6]", "[DC4es_v6]", "spec.placement.sizes[0]", 13, "Standard_DC4es_v6"),
    "yes in quotes": ("secureBoot: true", 'secureBoot: "yes"', "spec.confidential.secureBoot", 17, "expected true or false"),
    "no TEE": ("tees: [TDX]", "tees: [None]", "spec.confidential.tees[0]", 12, "confidential VMs only"),
    "an unknown TEE": ("tees: [TDX]", "tees: [SGX]", "spec.confidential.tees[0]", 12, "expected SNP or TDX"),
    "a priority beyond int32": ("priority: 1", "priority: 3000000000", "spec.priority", 13, "2147483647 or less"),
    "a pattern that is none": ("on-prem-deployment.*", '"web-("', "spec.workload.podNamePattern", 21, "no regular expression"),
    "a pattern that explodes": ("on-prem-deployment.*", "(a+)+", "spec.workload.podNamePattern", 21, "for ever"),
    "a huge pattern": ("on-prem-deployment.*", "a" * 5000, "spec.workload.podNamePattern", 21, "at most 256"),
    "an empty pattern": ("on-prem-deployment.*", '""', "spec.workload.podNamePattern", 21, "matches nothing"),
    "a workload that selects nothing": ("podNamePattern: on-prem-deployment.*", "selector: {}", "spec.workload", 5, "selects nothing"),
    "an unknown field": ("maxBursts: 4", "maxBurst: 4", "spec.limits.maxBurst", 5, "did you mean maxBursts?"),
    "snake case": ("maxBursts: 4", "max_bursts: 4", "spec.limits.max_bursts", 5, "did you mean maxBursts?"),
    "a field of nowhere": ("maxBursts: 4", "colour: red", "spec.limits.colour", 5, "use one of maxBursts, maxVcpus, budget, launchRate"),
    "a missing field": ("    targets: [azure]\n", "", "spec.placement.targets", 3, "is required: Names of BurstTargets"),
    "a field given twice": ("maxBursts: 4", "maxBursts: 4\n    maxBursts: 400", "spec.limits.maxBursts", 5, "first in line 14"),
    "a boolean as a key": ("maxBursts: 4", "on: 4", "spec.limits.on", 5, "read by YAML as the boolean true"),
    "a wrong kind": ("kind: BurstPolicy", "kind: BurstPolcy", "kind", 7, "did you mean BurstPolicy?"),
    "somebody else's kind": (HEAD, KEDA_HEAD, "kind", 7, "of 'keda.sh/v1alpha1'"),
    "burster's own record": ("kind: BurstPolicy", "kind: Burst", "kind", 7, "not by people"),
    "a wrong version": ("burster.dev/v1alpha1", "burster.dev/v1", "apiVersion", 13, "write apiVersion: burster.dev/v1alpha1"),
    "no version": ("apiVersion: burster.dev/v1alpha1\n", "", "apiVersion", 1, "is required: write apiVersion"),
    "no kind": ("kind: BurstPolicy\n", "", "kind", 1, "is required: write kind"),
    "a merge of a word": ("maxBursts: 4", "<<: x", "", 9, "merge key"),
    "a list as a key": ("maxBursts: 4", "[a, b]: 4", "spec.limits", 5, "as a key"),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "path", "column", "words"), WRONG_VALUES.values(), ids=WRONG_VALUES)
def test_a_wrong_value_is_told_with_its_place(old, new, path, column, words):
    assert POLICY.count(old) == 1
    problem = the_problem(POLICY.replace(old, new))
    assert problem.path == path
    assert problem.column == column
    assert words in problem.message
    assert not problem.unreadable
    where = POLICY[: POLICY.index(old)].count("\n") + 1
    assert where - 2 <= problem.line <= where + 2


WRONG_TARGETS = {
    "a name that is too long": ("name: azure", f"name: {'a' * 64}", "metadata.name", "at most 63"),
    "no sizes": (
        "  sizes: [Standard_DC4es_v6]\n",
        "",
        "spec.sizes",
        "is required for provider azure: Allowed VM sizes",
    ),
    "empty sizes": ("sizes: [Standard_DC4es_v6]", "sizes: []", "spec.sizes", "is required for provider azure"),
    "a namespace": ("name: azure\n", "name: azure\n  namespace: bank\n", "", "for the whole cluster"),
    "a name for a subscription": (
        "00000000-0000-0000-0000-000000000000",
        "production",
        "spec.azure.subscriptionId",
        "a UUID",
    ),
    "a region's long name": ("westeurope", "West Europe", "spec.azure.region", "short name"),
    "deadlines in the wrong order": (
        "launchDeadline: 5m",
        "launchDeadline: 40m",
        "spec.readyDeadline",
        "shorter than launchDeadline",
    ),
    "a pattern for a namespace": ('["*"]', "[team-*]", "spec.allowedNamespaces[0]", "a namespace's name"),
    "an alias for a namespace": ('["*"]', "[*]", "", "not YAML"),
    "a word for a sweep": ("{grace: 5m}", "delete", "spec.sweep", "expected a mapping"),
    "a wrong sweep mode": ("{grace: 5m}", "{mode: delete}", "spec.sweep.mode", "did you mean Delete?"),
    "an image that is no id": ("  launchDeadline", "  image: ubuntu\n  launchDeadline", "spec.image", "starts with /"),
}


@pytest.mark.parametrize(("old", "new", "path", "words"), WRONG_TARGETS.values(), ids=WRONG_TARGETS)
def test_a_wrong_target_is_told(old, new, path, words):
    assert TARGET.count(old) == 1
    problem = the_problem(TARGET.replace(old, new))
    assert (problem.path, words in problem.message) == (path, True), problem


#: texts that nothing can be judged by
NOT_YAML = {
    "brackets left open": ("a: [1\nb: 2\n", 2, "not YAML"),
    "a tab": ("a:\n\tb: 1\n", 2, "a tab in the indentation"),
    "two colons": ("a: b: c\n", 1, "not YAML"),
    "an unknown alias": ("a: 1\nb: *nowhere\n", 2, "*nowhere"),
    "a control character": ('ok: 1\na: "\x01"\n', 2, "does not allow"),
    "a null byte": ("a: \x00\n", 1, "does not allow"),
    "a program": ("a: !!python/object/apply:os.system [ls]\n", 1, "is not supported"),
    "a custom tag": ("a: !secret x\n", 1, "is not supported"),
    "brackets without end": ("[" * 50_000, 1, "levels deep"),
    "braces without end": ("{a: " * 5_000, 1, "levels deep"),
    "an alias inside itself": ("a: &a [*a]\n", 1, "an alias inside itself"),
    "too many documents": ("--- a\n" * 1_001, 1001, "split it"),
    "nothing": ("", 0, "empty"),
    "only comments": ("# nothing\n---\n# here\n", 0, "empty"),
    "only spaces": ("   \n\n", 0, "empty"),
}


@pytest.mark.parametrize(("text", "line", "words"), NOT_YAML.values(), ids=NOT_YAML)
def test_what_is_no_yaml_is_unreadable(text, line, words):
    problem = problems_of(text)[-1]
    assert (problem.line, words in problem.message) == (line, True), problem
    assert problem.unreadable


def test_a_billion_laughs_stay_small():
    bomb = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10) if n else 'ha'}]\n" for n in range(12))
    problem = the_problem(bomb)
    assert "20000 values" in problem.message


def test_a_bomb_of_merge_keys_stays_small():
    bomb = "m0: &m0 {a: 1}\n" + "".join(
        f"m{n}: &m{n} {{<<: [{', '.join([f'*m{n - 1}'] * 10)}], k{n}: [*m{n - 1}, *m{n - 1}, *m{n - 1}]}}\n"
        for n in range(1, 14)
    )
    assert any("values" in problem.message for problem in problems_of(bomb))


def test_anchors_aliases_and_merge_keys_mean_what_they_mean_elsewhere():
    text = POLICY.replace("limits:\n", "limits: &l\n").replace("    budget:", "    budget: &b") + "---\n" + TARGET
    assert len(load_text(text)) == 2
    merged = POLICY.replace("    targets: [azure]\n", "    <<: &p {targets: [azure], lease: 1h, drain: 1m}\n").replace(
        "  confidential:", "  confidential: &c"
    )
    (document,) = load_text(merged)
    assert document.model.spec.placement.targets == ("azure",)
    assert document.model.spec.placement.lease == "50m"  # what is written here wins over what is merged
    assert document.model.spec.placement.drain == "1m"


@pytest.mark.parametrize("word", ["y", "Y", "yes", "on", "ON", "True"])
def test_old_yaml_booleans_are_what_they_are_for_kubectl(word):
    (document,) = load_text(POLICY.replace("secureBoot: true", f"secureBoot: {word}"))
    assert document.model.spec.confidential.secure_boot is True


def test_quotes_make_text_of_anything():
    (document,) = load_text(POLICY.replace("targets: [azure]", 'targets: ["010", "no", "7", "1e3"]'))
    assert document.model.spec.placement.targets == ("010", "no", "7", "1e3")


def test_a_byte_order_mark_and_windows_lines_do_no_harm():
    assert load_text(b"\xef\xbb\xbf" + POLICY.replace("\n", "\r\n").encode())


@pytest.mark.parametrize(
    ("data", "line", "column"),
    [(b"ab\xe9", 1, 3), (b"a: 1\nb: \xff", 2, 4), (b"\xfe\xffa", 1, 1)],
    ids=["latin", "second line", "UTF-16"],
)
def test_what_is_not_utf8_is_told_to_the_byte(data, line, column):
    (problem,) = problems_of(data)
    assert (problem.line, problem.column, problem.unreadable) == (line, column, True)
    assert "UTF-8" in problem.message


def test_a_dash_is_standard_input_only_where_there_is_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "-").write_text(TARGET)
    assert load_files(["-"])[0].kind == "BurstTarget"
    assert load_files(["-"], stdin=POLICY.encode())[0].kind == "BurstPolicy"
    (tmp_path / "x.yaml").write_text(TARGET)
    assert [document.source for document in load_files(["x.yaml", "-"], stdin=POLICY.encode())] == ["x.yaml", "-"]


def test_a_folder_of_thousands_of_files_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(load, "FILES_MAX", 3)
    for number in range(4):
        (tmp_path / f"{number}.yaml").write_text("nonsense")
    with pytest.raises(PolicyErrors, match="more than 3 files at once"):
        load_files([tmp_path])


def test_all_problems_of_all_files_come_at_once_in_the_order_of_the_files(tmp_path):
    (tmp_path / "a.yaml").write_text(POLICY.replace("maxBursts", "maxBurst").replace("TDX", "SGX"))
    (tmp_path / "b.yml").write_text("a: [")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "c.json").write_bytes(b'{"kind": "\xff"}')
    (tmp_path / "d.yaml").write_text("")
    (tmp_path / "not-read.txt").write_text("a: [")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "e.yaml").write_text("a: [")
    with pytest.raises(PolicyErrors) as caught:
        load_files([tmp_path, tmp_path / "missing.yaml"])
    told = [(os.path.relpath(problem.source, tmp_path), problem.line) for problem in caught.value.problems]
    assert told == [("a.yaml", 14), ("a.yaml", 23), ("b.yml", 2), ("d.yaml", 0), ("sub/c.json", 1), ("missing.yaml", 0)]
    assert caught.value.exit_code == 2
    assert str(caught.value).startswith("6 problems:\n  ")
    assert re.search(r"a\.yaml:14:5: spec\.limits\.maxBurst: unknown field", str(caught.value))


def test_what_was_read_and_is_wrong_has_exit_code_1():
    with pytest.raises(PolicyErrors) as caught:
        load_text(POLICY.replace("maxBursts", "maxBurst"))
    assert caught.value.exit_code == 1


def test_a_thousand_problems_are_told_in_a_hundred():
    text = POLICY.replace("    maxBursts: 4\n", "".join(f"    unknown{n}: 1\n" for n in range(1000)))
    assert len(str(PolicyErrors(problems_of(text))).splitlines()) == 102


@pytest.mark.parametrize("mode", ["missing", "folder without rules", "too large", "loop", "null in the name"])
def test_paths_that_cant_be_read(tmp_path, mode):
    path = tmp_path / "x.yaml"
    if mode == "folder without rules":
        path.mkdir()
    elif mode == "too large":
        path.write_bytes(b"#" * (FILE_BYTES_MAX + 1))
    elif mode == "loop":
        path.symlink_to(path)
    elif mode == "null in the name":
        path = "a\x00b.yaml"
    with pytest.raises(PolicyErrors) as caught:
        load_files([path])
    (problem,) = caught.value.problems
    assert problem.unreadable
    assert problem.source == str(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text(POLICY)
    path.chmod(0)
    with pytest.raises(PolicyErrors, match="Permission denied"):
        load_files([path])


def test_the_same_object_twice_is_told_with_both_places(tmp_path):
    (tmp_path / "a.yaml").write_text(POLICY)
    (tmp_path / "b.yaml").write_text(f"{TARGET}---\n{POLICY}")
    with pytest.raises(PolicyErrors, match=r"b\.yaml:19:9: metadata.name: .*already defined in .*a\.yaml:1"):
        load_files([tmp_path])


def test_a_file_named_twice_is_read_once(tmp_path):
    (tmp_path / "a.yaml").write_text(POLICY)
    assert len(load_files([tmp_path / "a.yaml", tmp_path])) == 1


def test_json_indented_by_tabs_is_read(tmp_path):
    (tmp_path / "t.json").write_text(
        '{\n\t"apiVersion": "burster.dev/v1alpha1",\n\t"kind": "BurstPolicy",\n\t"metadata": {"name": "j"},\n'
        '\t"spec": {"workload": {"kind": "Job"}, "placement": {"targets": ["t"]}}\n}'
    )
    assert load_files([tmp_path])[0].key == "default/j"


def test_what_contradicts_a_target_beside_it_is_told():
    other = TARGET.replace('["*"]', "[bank]").replace("DC4es", "DC8es").replace("  sizes:", "  tees: [SNP]\n  sizes:")
    problems = problems_of(f"{POLICY}---\n{other}")
    assert [(problem.path, problem.line) for problem in problems] == [
        ("spec.placement.targets[0]", 19),
        ("spec.placement.sizes", 20),
        ("spec.confidential.tees", 23),
    ]
