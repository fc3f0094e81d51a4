"""`burster lab up` and `down`: the stand-ins alone, with a kubeconfig for one's own kubectl.

`up` stays in the foreground until Ctrl-C or `down`. A record of it (address, process) lies in the state directory; `down` ends that
process and no other: a process id that meanwhile belongs to something else is recognised by its start time.
"""

import errno
import os
import signal
import sys
import time
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer

from burster.cli.output import line
from burster.cli.run_dir import called_as
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
    metrics_url: str = ""


def lab_dir() -> Path:
    """Return where the lab's record and kubeconfig are."""
    return state_dir() / "lab"


@app.command()
def up(  # noqa: PLR0913 -- one parameter per flag
    *,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="The same seed gives the same lab.")] = 7,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="The API server's port; 0 takes a free one.")] = 0,
    arm_port: Annotated[int, typer.Option(min=0, max=65_535, help="The cloud's port; 0 takes a free one.")] = 0,
    metrics_port: Annotated[
        int, typer.Option(min=0, max=65_535, help="The port of Prometheus and its metrics; 0 takes a free one.")
    ] = 0,
    kubeconfig: Annotated[Path | None, typer.Option(metavar="FILE", help="Where to write the kubeconfig.")] = None,
    nodes: Annotated[int, typer.Option(min=1, max=1_000, help="On-prem nodes of 8 cpu and 32Gi each.")] = 3,
    policy: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Policies and targets that are there from the start; repeatable."),
    ] = None,
    vm_seconds: Annotated[
        float | None, typer.Option(min=0.1, max=3_600, help="A cloud VM comes in that time and goes in half of it.")
    ] = None,
) -> None:
    """Start the stand-ins and stay until Ctrl-C or `burster lab down`."""
    running = read_record()
    if running is not None:
        raise InputError(f"a lab is up already at {running.api_url}: end it with burster lab down")
    if kubeconfig is not None and kubeconfig.exists():
        raise InputError(f"{kubeconfig} is there already: name a new file, it must not replace a kubeconfig of yours")
    from burster.lab.world import serve_lab

    signal.signal(signal.SIGTERM, _end_as_by_ctrl_c)
    config = (kubeconfig or lab_dir() / "kubeconfig").absolute()
    options = LabOptions(
        seed=seed,
        api_port=port,
        arm_port=arm_port,
        metrics_port=metrics_port,
        nodes=nodes,
        policies=tuple(str(file) for file in policy or ()),
        vm_seconds=vm_seconds,
    )
    announced: list[Path] = []

    def announce(lab: LabAddresses) -> None:
        announced.append(config)
        _announce(lab, config)

    try:
        serve_lab(options, announce)
    except OSError as error:
        if error.errno not in {errno.EADDRINUSE, errno.EACCES}:
            raise
        raise InputError(
            _no_port(error, {"--port": port, "--arm-port": arm_port, "--metrics-port": metrics_port})
        ) from error
    finally:
        for path in (lab_dir() / "record.json", *announced):
            path.unlink(missing_ok=True)


def _end_as_by_ctrl_c(_number: int, _frame: object) -> None:
    """Answer SIGTERM, by which ``down`` ends a lab."""
    signal.raise_signal(signal.SIGINT)


def _no_port(error: OSError, ports: dict[str, int]) -> str:
    named = ((flag, number) for flag, number in ports.items() if f", {number})" in str(error))
    flag, taken = next(named, next(iter(ports.items())))
    why = "is in use" if error.errno == errno.EADDRINUSE else "may not be listened on"
    return f"127.0.0.1:{taken} {why}: choose another port with {flag}, or leave it out for a free one"


def _announce(lab: LabAddresses, config: Path) -> None:
    record = LabRecord(
        pid=os.getpid(),
        started=_started(os.getpid()),
        api_url=lab.api_url,
        arm_url=lab.arm_url,
        metrics_url=lab.metrics_url,
    )
    for path, content in (
        (config, lab.kubeconfig.encode()),
        (lab_dir() / "record.json", msgspec.json.encode(record)),
    ):
        try:
            _write_private(path, content)
        except OSError as error:
            raise InputError(
                f"{path} can't be written ({error.strerror}): name a file in a folder of yours with --kubeconfig FILE"
            ) from error
    line("Nothing leaves this machine: cluster, cloud and money are simulated.")
    line(f"API server  {lab.api_url}")
    line(f"cloud       {lab.arm_url}")
    line(f"Prometheus  {lab.metrics_url}")
    line()
    line(f"  kubectl --kubeconfig {config} get nodes")
    line(
        f"  BURSTER_ARM__BASE_URL={lab.arm_url} BURSTER_ARM__AUTH=none BURSTER_PRICES__URL={lab.prices_url or lab.arm_url} \\\n"
        f"  BURSTER_METRICS__NETWORKS=127.0.0.0/8 {called_as()} controller --kubeconfig {config} --listen 127.0.0.1:0"
    )
    line()
    line("Ctrl-C or burster lab down ends it.")
    sys.stdout.flush()


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
