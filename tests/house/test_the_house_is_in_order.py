"""Rules about the project's own files that no linter knows."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest


ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
#: hosts of package registries and of people's machines; joined here so that this file does not name them either
FOREIGN = [
    re.compile(pattern)
    for pattern in (
        r"/work/(?:main|shared|scratch)",
        r"/opt/(?:pypi|wheels)",
        r"/(?:home|Users)/(?!peerpod/)[a-z]+/",
        "pypi" + r"\.org",
        "pythonhosted" + r"\.org",
        "registry\\." + "npmjs",
        "deb\\." + "debian",
        r"--(?:extra-)?index-url [^ ]*//",
    )
]
FILE_MAX_BYTES = 600_000


def project_files():
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    names = (
        listed.stdout.splitlines() if listed.returncode == 0 else [str(p.relative_to(ROOT)) for p in ROOT.rglob("*")]
    )
    skipped = (".venv/", ".git/", "build/", "dist/")
    return [path for name in names if not name.startswith(skipped) and (path := ROOT / name).is_file()]


def texts():
    for path in project_files():
        try:
            yield path, path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue


def modules():
    return [path for path in project_files() if path.is_relative_to(ROOT / "burster") and path.suffix == ".py"]


def test_imports_go_one_way():
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from importlinter.cli import lint_imports_command; lint_imports_command()",
            "--no-cache",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


def test_no_file_names_a_machine_or_a_registry():
    found = [
        f"{path.relative_to(ROOT)}: {match.group()}"
        for path, text in texts()
        for pattern in FOREIGN
        if (match := pattern.search(text))
    ]
    assert found == []


def test_nothing_large_is_checked_in():
    assert [str(path) for path in project_files() if path.stat().st_size > FILE_MAX_BYTES] == []


def test_every_module_says_what_it_is():
    silent = [str(path.relative_to(ROOT)) for path in modules() if not path.read_text().startswith('"""')]
    assert silent == []


def test_there_is_no_room_for_odds_and_ends():
    assert [path.name for path in modules() if path.stem in {"utils", "util", "helpers", "misc", "common"}] == []


def test_both_locks_hold_what_the_project_needs():
    def normal(name):
        return re.sub(r"[-_.]+", "-", name).lower()

    def pinned(lock):
        return {normal(match) for match in re.findall(r"^([A-Za-z0-9_.-]+)==", (ROOT / lock).read_text(), re.MULTILINE)}

    def wanted(requirements):
        return {normal(re.match(r"[A-Za-z0-9_.-]+", one).group()) for one in requirements if isinstance(one, str)}

    groups = PYPROJECT["dependency-groups"]
    runtime, dev = pinned("requirements.lock"), pinned("requirements-dev.lock")
    assert wanted(PYPROJECT["project"]["dependencies"]) | wanted(groups["build"]) <= runtime
    assert runtime | wanted(groups["dev"]) <= dev


def test_both_locks_agree_on_versions():
    def pins(lock):
        return set(re.findall(r"^[a-z0-9_.-]+==[^ ]+", (ROOT / lock).read_text(), re.MULTILINE))

    assert pins("requirements.lock") <= pins("requirements-dev.lock")


def commands_in(path):
    """The shell lines of a document's code blocks that call burster or make."""
    blocks = re.findall(r"^```(?:sh|console|bash|text)\n(.*?)^```", path.read_text(), re.MULTILINE | re.DOTALL)
    for line in "\n".join(blocks).splitlines():
        words = line.removeprefix("$ ").split("#")[0].split()
        if words and words[0] in {"burster", "make", ".venv/bin/burster"}:
            yield words


def documents():
    return [path for path in project_files() if path.suffix == ".md"]


@pytest.mark.parametrize("path", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_that_documents_show_exist(path):
    from burster.cli.app import ENTRIES

    targets = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
    names = {entry.name for entry in ENTRIES} | {"--help", "--version"}
    for words in commands_in(path):
        if words[0] == "make":
            asked = [word for word in words[1:] if "=" not in word and not word.startswith("-")]
            assert set(asked) <= targets, words
        else:
            assert words[1:2] == [] or words[1] in names, words


@pytest.mark.parametrize("path", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_links_between_documents_lead_somewhere(path):
    for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", path.read_text()):
        assert (path.parent / target).exists(), target


def test_make_alone_lists_every_target():
    listed = subprocess.run(["make", "-s"], cwd=ROOT, capture_output=True, text=True, timeout=20, check=True).stdout
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE).group(1).split()
    for target in set(phony) - {"runtime", "dev"}:
        assert f"make {target} " in listed


def test_the_version_is_one():
    import burster

    assert PYPROJECT["project"]["version"] == burster.__version__
    assert (
        f"## [{burster.__version__}]" in (ROOT / "CHANGELOG.md").read_text()
        or "## [Unreleased]" in (ROOT / "CHANGELOG.md").read_text()
    )


def test_the_policy_that_the_readme_shows_is_valid(tmp_path):
    from burster.cli import run

    (shown,) = re.findall(r"^```yaml\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    (tmp_path / "policy.yaml").write_text(shown)
    assert run(["policy", "validate", str(tmp_path / "policy.yaml")]) == 0
