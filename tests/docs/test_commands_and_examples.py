"""Every command, rule and link in the documents is tried: what can be run in a moment is run, the rest is checked to be understood."""

import contextlib
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.main import get_command

from burster.cli import run
from burster.cli.app import build_app
from burster.cli.run_dir import LEDGER
from burster.ledger import Ledger
from burster.policy.schema.policy import BurstPolicySpec
from tests.docs.rights import ROOT
from tests.support.prometheus import StandIn


DOCUMENTS = sorted(
    path
    for path in [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "deploy").rglob("*.md"),
        *(ROOT / "policies").rglob("*.md"),
    ]
    if ".venv" not in path.parts
)
#: asked of a finished run or of files: quick enough to be run wherever a document shows them
QUICK = {"why", "history", "spend", "status", "policy"}
#: shown for the answer no (exit code 1)
SAY_NO = {
    "policy validate docs/examples/web-typos.yaml",
    "policy diff docs/examples/web.yaml docs/examples/web-looser.yaml",
    "policy diff --fail-on looser docs/examples/web.yaml docs/examples/web-looser.yaml",
}
RUNS = re.compile(r"--run (?:DIR|/var/lib/burster|runs/\w+)")


def names(paths):
    return [str(path.relative_to(ROOT)) for path in paths]


def blocks(path: Path, *languages: str) -> list[str]:
    text = path.read_text("utf-8")
    found = re.findall(r"^```(\w*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [body for language, body in found if language in languages]


def shell_lines(path: Path):
    lines = [line for block in blocks(path, "sh", "bash") for line in block.splitlines()]
    lines += [line[2:] for block in blocks(path, "console") for line in block.splitlines() if line.startswith("$ ")]
    lines += re.findall(r"^    (burster .*)$", path.read_text("utf-8"), re.MULTILINE)
    return [line.split("  #")[0].strip() for line in lines]


def burster_commands():
    for path in DOCUMENTS:
        for line in shell_lines(path):
            words = shlex.split(line)
            if "--" in words and words[0] == "kubectl":
                words = words[words.index("--") + 1 :]
            if words and words[0] in {"burster", ".venv/bin/burster"}:
                yield pytest.param(words[1:], id=f"{path.relative_to(ROOT)}: {shlex.join(words)}")


COMMANDS = list(burster_commands())


def test_the_documents_show_commands():
    assert len(COMMANDS) > 8


@pytest.mark.parametrize("words", COMMANDS)
def test_a_command_is_understood(words):
    root = get_command(build_app(words))
    context = root.make_context("burster", list(words), resilient_parsing=True)
    name, command, rest = root.resolve_command(context, list(words))
    while hasattr(command, "commands"):
        name, command, rest = command.resolve_command(context, rest)
    command.make_context(name, rest, parent=context)  # raises for what it does not know


@pytest.fixture
def a_copy(tmp_path, monkeypatch) -> Path:
    """A folder in which the project's files are found, and what a command writes stays out of the project."""
    for folder in ("docs", "policies", "simulations", "tests"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("words", [each for each in COMMANDS if each.values[0][0] in QUICK])
def test_a_quick_command_is_run(words, demo_run, a_copy, capsys):
    asked = RUNS.sub(f"--run {shlex.quote(str(demo_run))}", shlex.join(words))
    asked = asked.replace("NAMESPACE/POD", "default/task-0020")
    with contextlib.closing(StandIn()) as server:
        code = run(shlex.split(asked.replace("https://thanos.example.com", server.url)))
    said = capsys.readouterr()
    assert code == int(" ".join(words) in SAY_NO), said.err
    assert said.out or said.err


def test_what_is_said_to_say_no_is_shown():
    assert sorted({" ".join(each.values[0]) for each in COMMANDS} & SAY_NO) == sorted(SAY_NO)


def test_policy_cases_run_under_pytest_as_shown(a_copy):
    shown = [line for line in shell_lines(ROOT / "docs" / "policies.md") if " -m pytest " in line]
    assert len(shown) == 1
    words = [sys.executable, *shlex.split(shown[0])[1:], "-p", "no:cacheprovider"]
    done = subprocess.run(words, cwd=a_copy, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout
    assert "3 passed" in done.stdout
    assert 'tests="3"' in (a_copy / "pytest.xml").read_text("utf-8")


def test_a_ledger_in_use_can_be_asked(demo_run, tmp_path, capsys):
    (tmp_path / LEDGER).write_bytes((demo_run / LEDGER).read_bytes())
    with Ledger.open(tmp_path / LEDGER):
        assert run(["why", "tasks", "--run", str(tmp_path)]) == 0
    assert "Policy default/tasks" in capsys.readouterr().out


@pytest.mark.long
@pytest.mark.parametrize(
    "words",
    [each for each in COMMANDS if each.values[0][0] == "simulate" and "--trace" not in each.values[0]],
)
def test_a_simulation_is_run(words, a_copy, capsys):
    assert run(words) == 0, capsys.readouterr().err


@pytest.mark.parametrize("path", DOCUMENTS, ids=names(DOCUMENTS))
def test_yaml_is_yaml_and_rules_are_valid(path, tmp_path, capsys):
    for number, block in enumerate(blocks(path, "yaml")):
        documents = list(yaml.safe_load_all(block))
        if any(document.get("kind") in {"BurstPolicy", "BurstTarget"} for document in documents):
            file = tmp_path / f"{number}.yaml"
            file.write_text(block)
            assert run(["policy", "validate", str(file)]) == 0, capsys.readouterr().err


#: what an excerpt of a policy is put into, so that it can be checked
AROUND = {
    "apiVersion": "burster.dev/v1alpha1",
    "kind": "BurstPolicy",
    "metadata": {"name": "excerpt", "namespace": "shop"},
    "spec": {
        "workload": {"ownerRef": {"kind": "Deployment", "name": "web"}},
        "placement": {"targets": ["azure-westeurope-tdx"]},
    },
}
EXCERPTS = [
    pytest.param(block, id=f"{number}: {block.partition(':')[0]}")
    for number, block in enumerate(blocks(ROOT / "docs" / "policies.md", "yaml"), start=1)
    if "apiVersion:" not in block
]


def test_the_guide_has_excerpts_of_every_part_of_a_policy():
    shown = {key for each in EXCERPTS for key in yaml.safe_load(each.values[0])}
    fields = {field.alias or name for name, field in BurstPolicySpec.model_fields.items()}
    assert fields - shown == {"priority", "idleReplicaCount", "initialCooldownPeriod"}


@pytest.mark.parametrize("excerpt", EXCERPTS)
def test_an_excerpt_is_valid_in_its_place(excerpt, tmp_path, capsys):
    file = tmp_path / "excerpt.yaml"
    # dates and times are text for burster's own reader, so the excerpt goes in as it is written
    spec = {key: value for key, value in AROUND["spec"].items() if not re.search(rf"^{key}:", excerpt, re.MULTILINE)}
    head = yaml.safe_dump({**AROUND, "spec": spec}, sort_keys=False).replace("spec: {}", "spec:")
    file.write_text(head + "".join(f"  {line}\n" for line in excerpt.splitlines()))
    assert run(["policy", "validate", "--lint", "off", str(file)]) == 0, capsys.readouterr().err


def anchors(path: Path) -> set[str]:
    """The fragments that headings get."""
    text = re.sub(r"^```.*?^```", "", path.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", DOCUMENTS, ids=names(DOCUMENTS))
def test_links_lead_somewhere(path):
    text = re.sub(r"^```.*?^```", "", path.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        file, _, fragment = target.partition("#")
        found = (path.parent / file).resolve() if file else path
        assert found.exists(), target
        if fragment:
            assert fragment in anchors(found), target


def test_every_design_record_has_its_parts_and_its_number():
    records = sorted((ROOT / "docs" / "design").glob("*.md"))
    assert [path.name[:4] for path in records] == [f"{number:04}" for number in range(1, len(records) + 1)]
    for path in records:
        text = path.read_text("utf-8")
        assert text.startswith(f"# {path.name[:4]}: "), path
        headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
        assert headings == ["Context", "Decision", "Consequences"], path
        assert re.search(r"^Status: (accepted|superseded|proposed)", text, re.MULTILINE), path


def test_every_room_is_told_of():
    rooms = {path.name for path in (ROOT / "burster").iterdir() if (path / "__init__.py").exists()}
    readme = (ROOT / "README.md").read_text("utf-8")
    architecture = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    assert [room for room in sorted(rooms) if f"(burster/{room})" not in readme] == []
    assert [room for room in sorted(rooms) if f"**`{room}`**" not in architecture] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=names(DOCUMENTS))
def test_named_modules_exist(path):
    named = re.findall(r"`(burster/[\w/]+(?:\.py)?)`", path.read_text("utf-8"))
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_architecture_names_every_room_of_the_engine_and_of_the_language():
    architecture = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    for room in ("engine", "policy"):
        rooms = [path.name for path in (ROOT / "burster" / room).iterdir() if (path / "__init__.py").exists()]
        assert [name for name in sorted(rooms) if f"burster/{room}/{name}" not in architecture] == []


def test_the_import_order_is_the_one_that_is_checked():
    pyproject = (ROOT / "pyproject.toml").read_text("utf-8")
    layers = re.search(r'type = "layers"\nlayers = \[\n(.*?)\]', pyproject, re.DOTALL).group(1)
    ordered = [layer.replace("burster.", "") for layer in re.findall(r'"([^"]+)"', layers)]
    assert " > ".join(ordered) in (ROOT / "docs" / "architecture.md").read_text("utf-8")
