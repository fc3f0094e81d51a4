import subprocess
import sys

import pytest

import burster as package
from burster.cli import app as app_module
from burster.model.errors import BursterError, InputError


def raising(error):
    def command():
        raise error

    return command


@pytest.fixture
def failing(monkeypatch):
    """Make `burster demo` a command that raises."""

    def make(error):
        monkeypatch.setattr(
            app_module, "import_module", lambda name: type("Module", (), {"demo": staticmethod(raising(error))})
        )

    return make


class AnswerIsNoError(InputError):
    exit_code = 1


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        pytest.param(InputError("a.yaml:3:1: it is wrong"), 2, "burster: a.yaml:3:1: it is wrong\n", id="bad input"),
        pytest.param(AnswerIsNoError("it is not so"), 1, "burster: it is not so\n", id="the answer is no"),
        pytest.param(
            BursterError("the API server is away"), 1, "burster: the API server is away\n", id="a failure outside"
        ),
        pytest.param(KeyboardInterrupt(), 130, "", id="Ctrl-C"),
        pytest.param(BrokenPipeError(), 141, "", id="the reader went away"),
    ],
)
def test_failures_are_a_sentence_and_a_code(burster, failing, error, code, said):
    failing(error)
    assert burster("demo") == (code, "", said)


def test_a_bug_is_one_line_that_says_how_to_see_more(burster, failing):
    failing(ZeroDivisionError("division\nby zero"))
    code, out, err = burster("demo")
    assert (code, out) == (70, "")
    assert err == "burster: an error of its own, ZeroDivisionError: division by zero (BURSTER_DEBUG=1 shows where)\n"


def test_a_bug_with_its_traceback(burster, failing, monkeypatch):
    monkeypatch.setenv("BURSTER_DEBUG", "1")
    failing(ZeroDivisionError("division by zero"))
    assert "Traceback (most recent call last)" in burster("demo")[2]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["wy"], "No such command 'wy'. Did you mean 'why'? See burster --help.", id="an unknown command"),
        pytest.param(["demo", "--seed", "x"], "Invalid value for '--seed'", id="no number"),
        pytest.param(["demo", "--seed", "-1"], "Invalid value for '--seed'", id="out of range"),
        pytest.param(["demo", "--sped", "1"], "No such option", id="an unknown option"),
        pytest.param(["why"], "Missing argument", id="something is missing"),
        pytest.param(["history", "-o", "xml"], "Invalid value for '-o'", id="an unknown format"),
    ],
)
def test_wrong_usage_is_one_sentence(burster, arguments, said):
    code, out, err = burster(*arguments)
    assert (code, out) == (2, "")
    assert said in err
    assert err.startswith("burster: ")
    assert err.count("\n") == 1


def test_without_arguments_the_commands_are_listed(burster):
    code, out, err = burster()
    assert (code, out) == (2, "")
    for entry in app_module.ENTRIES:
        assert entry.name in err


@pytest.mark.parametrize("entry", app_module.ENTRIES, ids=lambda entry: entry.name)
def test_every_command_explains_itself(burster, entry):
    code, out, err = burster(entry.name, "--help")
    assert (code, err) == (0, "")
    assert out.startswith(f"Usage: burster {entry.name}")


@pytest.mark.parametrize("flag", ["--version", "-V"])
def test_the_version(burster, flag):
    assert burster(flag) == (0, f"burster {package.__version__}\n", "")


def test_help_imports_no_command_and_no_heavy_library():
    script = (
        "import sys\n"
        "from burster.cli import run\n"
        "assert run(['--help']) == 0\n"
        "heavy = {'aiohttp', 'kubernetes', 'azure', 'plotly', 'polars', 'pydantic', 'sqlite3', 'rich'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == "[]\n"
    assert "controller" in done.stdout


def test_a_reader_that_goes_away_is_no_drama(run_dir):
    command = [sys.executable, "-m", "burster", "history", "--run", str(run_dir), "-o", "json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        said = process.stderr.read()
        assert process.wait(timeout=60) == 141
    assert said == b""
