"""`burster lab up` and `down`: the stand-ins alone, with a kubeconfig for one's own kubectl.

`up` stays in the foreground until Ctrl-C or `down`. A record of it (address, process) lies in the state directory; `down` ends that
process and no other: a process id that meanwhile belongs to something else is recognised by its start time.
"""

import os
import signal
import time
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer

from burster.cli.output import line
from burster.lab.options import LabAddresses, LabOptions
from burster.model.errors import InputError
from burster.settings import state_dir


app = typer.Typer(no_args_is_help=True, help="The stand-ins alone, with a kubeconfig to use.")

_DOWN_S: Final = 20.0
_POLL_S: Final = 0.1


class LabRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A lab that runs: its process, and when that started (so that a reused id is not taken for it)."""

    pid: int
    started: str
    api_url: str
    arm_url: str


def lab_dir() -> Path:
    """Return where the lab's record and kubeconfig are."""
    return state_dir() / "lab"


@app.command()
def up(
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="The same seed gives the same lab.")] = 7,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="The API server's port; 0 takes a free one.")] = 0,
    arm_port: Annotated[int, typer.Option(min=0, max=65_535, help="The cloud's port; 0 takes a free one.")] = 0,
    kubeconfig: Annotated[Path | None, typer.Option(metavar="FILE", help="Where to write the kubeconfig.")] = None,
) -> None:
    """Start the stand-ins and stay until Ctrl-C or `burster lab down`."""
    running = read_record()
    if running is not None:
        raise InputError(f"a lab is up already at {running.api_url}: end it with burster lab down")
    from burster.lab.world import serve_lab

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    config = kubeconfig or lab_dir() / "kubeconfig"
    try:
        serve_lab(LabOptions(seed=seed, api_port=port, arm_port=arm_port), lambda lab: _announce(lab, config))
    finally:
        (lab_dir() / "record.json").unlink(missing_ok=True)


def _announce(lab: LabAddresses, config: Path) -> None:
    _write_private(config, lab.kubeconfig.encode())
    record = LabRecord(pid=os.getpid(), started=_started(os.getpid()), api_url=lab.api_url, arm_url=lab.arm_url)
    _write_private(lab_dir() / "record.json", msgspec.json.encode(record))
    line("Nothing leaves this machine: cluster, cloud and money are simulated.")
    line(f"API server  {lab.api_url}")
    line(f"cloud       {lab.arm_url}")
    line(f"  kubectl --kubeconfig {config} get nodes")
    line("Ctrl-C or burster lab down ends it.")


@app.command()
def down() -> None:
    """End the stand-ins that `burster lab up` started."""
    record = read_record()
    if record is None:
        line("No lab is up.")
        return
    os.kill(record.pid, signal.SIGTERM)
    deadline = time.monotonic() + _DOWN_S
    while read_record() is not None:
        if time.monotonic() > deadline:
            raise InputError(f"the lab (process {record.pid}) has not ended within {_DOWN_S:g}s: end it by hand")
        time.sleep(_POLL_S)
    line("The lab is down.")


def read_record() -> LabRecord | None:
    """Return the lab that runs, or None; a record of one that died is removed."""
    path = lab_dir() / "record.json"
    try:
        record = msgspec.json.decode(path.read_bytes(), type=LabRecord)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
    if _started(record.pid) != record.started:
        path.unlink(missing_ok=True)
        return None
    return record


def _started(pid: int) -> str:
    """Return a process's start time as the kernel counts it; empty where there is no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    # the command's name, in parentheses, may hold anything; what follows it is plain
    fields = stat.rpartition(")")[2].split()
    state, started = fields[0], fields[19]
    return "" if state == "Z" else started


def _write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
    part.replace(path)
