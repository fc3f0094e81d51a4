"""One API server with a garbage collector for a whole test run, over all its workers: starting one costs ten seconds of two cores.

`join` is what a worker calls once. Whoever comes first starts a keeper, a process of its own that starts the plane and lives until nobody
holds the plane's file any more: a worker that crashes holds nothing, so nothing outlives a run. There is no scheduler and no workload
controller on it: a contract is about what the server says, and nobody else must write meanwhile. As a program this file is the keeper.
"""

import fcntl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import msgspec

from tests.support.control_plane import READY_S, ControlPlane, compact, find_binaries


CONTROLLERS = ("garbagecollector", "namespace")
_POLL_S = 0.25


@dataclass(frozen=True)
class SharedPlane:
    """What a worker needs to know of it."""

    url: str
    kubeconfig: str
    certificate: str
    version: tuple[int, int]
    has_controllers: bool
    etcd: tuple[str, int]

    def forget(self) -> None:
        """Let it lose its history."""
        compact(self.etcd)


@contextmanager
def join(folder: Path) -> Iterator[SharedPlane]:
    """Have the plane of a run, whose folder all its workers know. Raises NoControlPlaneError."""
    find_binaries()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "users").open("w") as users:
        # held as long as this worker is alive, also if it never gets to say goodbye
        fcntl.flock(users, fcntl.LOCK_SH)
        with (folder / "starting").open("w") as starting:
            fcntl.flock(starting, fcntl.LOCK_EX)
            keeper = None if (folder / "plane.json").exists() else _start_keeper(folder)
        yield msgspec.json.decode((folder / "plane.json").read_bytes(), type=SharedPlane)
    # whoever started the keeper is its parent, and waits: for the other workers too
    if keeper is not None:
        keeper.wait()


def _start_keeper(folder: Path) -> "subprocess.Popen[bytes]":
    with (folder / "keeper.log").open("wb") as log:
        keeper = subprocess.Popen(
            [sys.executable, "-m", "tests.support.shared_plane", str(folder)],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    deadline = time.monotonic() + READY_S + 10
    while not (folder / "plane.json").exists():
        if keeper.poll() is not None or time.monotonic() > deadline:
            raise AssertionError(f"no control plane came up\n{(folder / 'keeper.log').read_text()}")
        time.sleep(_POLL_S)
    return keeper


def keep(folder: Path) -> None:
    """Have a plane until nobody uses it any more."""
    binaries = find_binaries()
    controllers = CONTROLLERS if (binaries / "kube-controller-manager").exists() else ()
    with ControlPlane(folder / "plane", controllers=controllers, scheduler=False, binaries=binaries) as plane:
        told = SharedPlane(
            url=plane.url,
            kubeconfig=str(plane.kubeconfig),
            certificate=str(plane.folder / "ca.crt"),
            version=plane.version(),
            has_controllers=bool(controllers),
            etcd=plane.etcd,
        )
        new = folder / "plane.json.new"
        new.write_bytes(msgspec.json.encode(told))
        new.rename(folder / "plane.json")
        with (folder / "users").open("w") as users:
            while not _is_last(users):
                time.sleep(_POLL_S)


def _is_last(users: TextIO) -> bool:
    """Say whether nobody uses the plane any more."""
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


if __name__ == "__main__":
    keep(Path(sys.argv[1]))
