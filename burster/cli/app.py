"""Puts the commands together. Only the command that was asked for is imported, so that `burster --help` answers at once.

A command's module is listed here with its name and a line of help; a module that is not there yet is not listed to people either.
"""

from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Annotated, Any, Final, NamedTuple

import typer

import burster


VersionFlag = Annotated[bool, typer.Option("--version", "-V", is_eager=True, help="Print the version and stop.")]


class Entry(NamedTuple):
    """Where a command lives: the module, and the function or Typer app in it."""

    name: str
    module: str
    attribute: str
    help: str


ENTRIES: Final = (
    Entry("demo", "burster.cli.demo", "demo", "The whole system on this machine, on stand-ins."),
    Entry("controller", "burster.cli.controller", "controller", "Run in (or next to) a cluster."),
    Entry("simulate", "burster.cli.simulate", "simulate", "Try policies on a recorded load, offline."),
    Entry("policy", "burster.cli.policy", "app", "Check, explain, compare, convert and test policies."),
    Entry("trace", "burster.cli.trace", "app", "Look into load traces, convert them, make them, record them."),
    Entry(
        "offerings",
        "burster.cli.offerings",
        "offerings",
        "What targets offer, ranked by price, and why not the others.",
    ),
    Entry("doctor", "burster.cli.doctor", "doctor", "Whether everything is right that bursting needs."),
    Entry("probe", "burster.cli.probe", "probe", "Try network paths from here; doctor starts it on workers."),
    Entry("status", "burster.cli.status", "status", "Where everything stands."),
    Entry("why", "burster.cli.why", "why", "What was decided about a pod or by a policy, and why."),
    Entry("history", "burster.cli.history", "history", "The decisions in order of time."),
    Entry("spend", "burster.cli.spend", "spend", "What bursting has cost."),
    Entry("sweep-cloud", "burster.cli.sweep_cloud", "sweep_cloud", "What is in the cloud that no record claims."),
    Entry("reaper", "burster.cli.reaper", "reaper", "End what nobody looks after any more, by an identity of its own."),
    Entry("lab", "burster.cli.lab", "app", "The stand-ins alone, with a kubeconfig to use."),
)


def build_app(arguments: Sequence[str]) -> typer.Typer:
    """Return the app, with the command that the arguments name imported and the others known by their help only."""
    app = typer.Typer(
        name="burster",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
        help="An event-driven cloud-bursting scheduler for confidential Kubernetes workloads.",
        epilog="Exit codes: 0 done; 1 it ran and the answer is no; 2 wrong usage or unreadable input; 130 interrupted; 143 terminated.",
    )
    app.callback()(_root)
    wanted = next((argument for argument in arguments if not argument.startswith("-")), "")
    for entry in ENTRIES:
        if find_spec(entry.module) is None:
            continue
        if entry.name == wanted:
            _mount(app, entry, getattr(import_module(entry.module), entry.attribute))
        else:
            app.command(entry.name, help=entry.help)(_unused)
    return app


def _mount(app: typer.Typer, entry: Entry, command: Any) -> None:
    if isinstance(command, typer.Typer):
        app.add_typer(command, name=entry.name, help=entry.help)
    else:
        function: Callable[..., Any] = command
        app.command(entry.name)(function)


def _root(*, version: VersionFlag = False) -> None:
    if version:
        typer.echo(f"burster {burster.__version__}")
        raise typer.Exit


def _unused() -> None:
    """Stand for a command in the list of commands; the one that runs is mounted instead."""
