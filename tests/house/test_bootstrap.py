"""tools/bootstrap without a network: what it says when something is missing, and when it does nothing."""

import shutil
import subprocess
from pathlib import Path

import pytest


ROOT = Path(__file__).parents[2]
#: what the script may use besides Python
TOOLS = ("sh", "dirname", "cat", "grep", "touch", "rm", "id", "env")


@pytest.fixture
def place(tmp_path):
    """A project with only what bootstrap looks at, and a PATH with only what a test puts there."""
    project = tmp_path / "project"
    (project / "tools").mkdir(parents=True)
    shutil.copy(ROOT / "tools/bootstrap", project / "tools")
    for name in ("requirements.lock", "requirements-dev.lock"):
        (project / name).write_text("nothing==1\n")
    (project / "pyproject.toml").write_text("")
    (tmp_path / "bin").mkdir()
    for tool in TOOLS:
        (tmp_path / "bin" / tool).symlink_to(shutil.which(tool))
    return tmp_path


def put(place, name, script):
    path = place / "bin" / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def bootstrap(place, kind="runtime", **environment):
    return subprocess.run(
        [place / "project/tools/bootstrap", kind],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={"PATH": str(place / "bin"), "HOME": str(place), **environment},
    )


def test_no_python(place):
    done = bootstrap(place)
    assert done.returncode == 1
    assert done.stderr == (
        "burster: Python 3.11 or newer is needed, and there is none: install python3 (Debian, Ubuntu: apt-get install python3)\n"
    )


def test_a_python_that_is_too_old(place):
    put(place, "python3", '[ "$1" = -V ] && echo "Python 3.9.2" && exit 0; exit 1')
    done = bootstrap(place)
    assert done.returncode == 1
    assert "3.11 or newer is needed, and Python 3.9.2 is what there is" in done.stderr
    assert done.stderr.count("\n") == 1


#: stands for a Debian python3: new enough, without the venv module
VENVLESS = 'case "$2" in *ensurepip*) exit 1 ;; *) exit 0 ;; esac'


def test_without_venv_and_without_apt(place):
    put(place, "python3", VENVLESS)
    done = bootstrap(place)
    assert done.returncode == 1
    assert "install your system's package for it" in done.stderr


def test_without_venv_as_a_user_of_debian(place):
    put(place, "python3", VENVLESS)
    put(place, "apt-get", "exit 99")
    (place / "bin/id").unlink()
    put(place, "id", "echo 1000")
    done = bootstrap(place)
    assert done.returncode == 1
    assert "run 'sudo apt-get install python3-venv'" in done.stderr


def test_without_venv_as_root_on_debian(place):
    put(place, "python3", VENVLESS)
    put(place, "apt-get", 'echo "$DEBIAN_FRONTEND $*" >&2; exit 100')
    (place / "bin/id").unlink()
    put(place, "id", "echo 0")
    done = bootstrap(place)
    assert done.returncode == 1
    assert "noninteractive update" in done.stderr
    assert "apt-get could not install python3-venv" in done.stderr


@pytest.fixture
def installed(place):
    """A place whose Python pretends to be everything: it makes virtual environments and notes what pip is asked."""
    log = place / "pip.log"
    put(
        place,
        "python3",
        f"""case "$*" in
  "-m venv "*) /bin/mkdir -p "$3/bin" && /bin/cp "$0" "$3/bin/python" ;;
  *"pip --disable"*) echo "$*" >> {log}; exit ${{PIP_ANSWERS:-0}} ;;
  "- "*) echo "key-of-$2: $(/bin/cat "$2")" ;;
esac""",
    )
    return log


def test_what_is_installed_is_not_installed_again(place, installed):
    assert bootstrap(place).returncode == 0
    first = installed.read_text()
    assert "install --require-hashes -r requirements.lock" in first
    assert "install --quiet --no-deps --no-build-isolation -e ." in first
    again = bootstrap(place)
    assert (again.returncode, again.stderr) == (0, "")
    assert installed.read_text() == first


def test_a_change_of_the_project_s_own_metadata_installs_only_the_project(place, installed):
    bootstrap(place)
    (place / "project/pyproject.toml").write_text("changed")
    done = bootstrap(place)
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.count("requirements") for line in installed.read_text().splitlines()] == [1, 0, 0]


def test_a_changed_lock_is_installed(place, installed):
    bootstrap(place)
    (place / "project/requirements.lock").write_text("nothing==2\n")
    done = bootstrap(place)
    assert "installing 1 packages" in done.stderr
    assert [line.count("requirements") for line in installed.read_text().splitlines()] == [1, 0, 1, 0]


def test_development_includes_use(place, installed):
    assert bootstrap(place, "dev").returncode == 0
    before = installed.read_text()
    assert "requirements-dev.lock" in before
    bootstrap(place, "runtime")
    assert installed.read_text() == before


def test_an_installation_that_was_cut_short_starts_anew(place, installed):
    failed = bootstrap(place, PIP_ANSWERS="1")
    assert failed.returncode == 1
    assert "the packages could not be installed" in failed.stderr
    (place / "project/.venv/half-a-package").touch()
    done = bootstrap(place)
    assert done.returncode == 0
    assert "interrupted: starting anew" in done.stderr
    assert not (place / "project/.venv/half-a-package").exists()


def test_wrong_usage(place):
    assert bootstrap(place, "everything").returncode == 2
