"""The real `burster` program as a child process, in a world of its own: home, state and temporary files under one folder."""

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path


BURSTER = [str(Path(sys.executable).with_name("burster"))]
KUBECTL = str(Path(sys.executable).with_name("kubectl"))


@dataclass
class Ended:
    """What became of a command."""

    code: int
    out: str
    err: str
    seconds: float


class World:
    """A folder in which commands run; ``left`` lists temporary files that outlived them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tmp = folder / "tmp"
        self.tmp.mkdir()
        self.env = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("BURSTER_", "KUBE", "XDG_"))},
            "HOME": str(folder / "home"),
            "XDG_STATE_HOME": str(folder / "state"),
            "TMPDIR": str(self.tmp),
            "COLUMNS": "200",
        }

    @property
    def left(self) -> list[str]:
        return sorted(path.name for path in self.tmp.iterdir())

    @property
    def runs(self) -> list[str]:
        return sorted(path.name for path in (self.folder / "state/burster/runs").glob("*"))

    def start(self, *arguments: object, log: Path | None = None, **variables: str) -> "subprocess.Popen[str]":
        """Start a command; ``log`` takes what it says in the end, where that may be more than a pipe holds while nobody reads."""
        with log.open("ab") if log is not None else nullcontext(subprocess.PIPE) as said:
            return subprocess.Popen(
                [*BURSTER, *map(str, arguments)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL if log is not None else subprocess.PIPE,
                stderr=said,
                text=True,
                cwd=self.folder,
                env={**self.env, **variables},
                start_new_session=True,
            )

    def run(self, *arguments: object, timeout_s: float = 60, limit_bytes: int = 0, **variables: str) -> Ended:
        """Run a command to its end, which must be the end of everything it started; ``limit_bytes`` is all memory it gets."""
        started = time.monotonic()
        with self.start(*arguments, **variables) as process:
            if limit_bytes:
                resource.prlimit(process.pid, resource.RLIMIT_AS, (limit_bytes, limit_bytes))
            try:
                out, err = process.communicate(timeout=timeout_s)
                assert is_alone(process), f"{arguments} left something running"
            finally:
                end_group(process)
        return Ended(process.returncode, out, err, time.monotonic() - started)


def end_group(process: "subprocess.Popen[str]") -> None:
    """Leave nothing of a test running, whatever happened in it."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait(timeout=10)


def is_alone(process: "subprocess.Popen[str]") -> bool:
    """Say whether nothing of an ended process's session is left."""
    try:
        os.killpg(process.pid, 0)
    except ProcessLookupError:
        return True
    return False


def kubectl(kubeconfig: Path, *arguments: str, stdin: str = "", timeout_s: float = 30) -> str:
    """Run kubectl and return what it printed; its own words where it fails."""
    done = subprocess.run(
        [KUBECTL, "--kubeconfig", str(kubeconfig), *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr}"
    return done.stdout


def until(what: str, happens: Callable[[], object], *, timeout_s: float, poll_s: float = 0.2) -> None:
    """Wait for something; fail in words where it does not come."""
    deadline = time.monotonic() + timeout_s
    while not happens():
        assert time.monotonic() < deadline, f"after {timeout_s:g}s: not yet {what}"
        time.sleep(poll_s)


def lines_of(table: str) -> list[Sequence[str]]:
    """Return a kubectl table's rows as words, without its header."""
    return [line.split() for line in table.splitlines()[1:]]
