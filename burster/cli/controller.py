"""`burster controller`: the controller in, or next to, a cluster. Lays flags over BURSTER_* variables and runs until it is stopped."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from burster.model.errors import InputError
from burster.settings import load_settings


DryRunFlag = Annotated[bool | None, typer.Option("--dry-run/--live", help="Decide, record, explain; change nothing.")]
OnceFlag = Annotated[bool, typer.Option("--once", help="Stop when everything seen at the start has been decided.")]


def controller(  # noqa: PLR0913 -- one parameter per flag
    *,
    dry_run: DryRunFlag = None,
    once: OnceFlag = False,
    kubeconfig: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A kubeconfig; the usual one if left out.")
    ] = None,
    context: Annotated[str | None, typer.Option(help="A context of the kubeconfig.")] = None,
    ledger: Annotated[Path | None, typer.Option(metavar="FILE", help="Where the ledger is.")] = None,
    listen: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Where status, metrics and probes are.")
    ] = None,
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"] | None, typer.Option(help="How much to log.")
    ] = None,
    log_format: Annotated[Literal["json", "console"] | None, typer.Option(help="For machines or for people.")] = None,
) -> None:
    """Run the controller. Every flag is also a BURSTER_* variable; Ctrl-C stops it gracefully."""
    kube = {"kubeconfig": str(kubeconfig) if kubeconfig else None, "context": context}
    flags: dict[str, Any] = {
        "dry_run": dry_run,
        "ledger_path": ledger,
        "kube": given(kube),
        "http": _listen(listen),
        "log": given({"level": log_level, "format": log_format}),
    }
    settings = load_settings(**given(flags))
    from burster.runtime.service import run_controller

    run_controller(settings, once=once)


def given(values: dict[str, Any]) -> dict[str, Any]:
    """Return what was given: a flag that was left out must not hide its variable."""
    return {name: value for name, value in values.items() if value not in (None, {})}


def _listen(text: str | None) -> dict[str, Any]:
    if text is None:
        return {}
    host, separator, port = text.rpartition(":")
    if not separator or not port.isdigit():
        raise InputError(f"--listen {text!r} is no HOST:PORT: write for example 127.0.0.1:8080")
    return {"host": host.strip("[]") or "0.0.0.0", "port": int(port)}
