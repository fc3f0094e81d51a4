"""`burster doctor`: everything that bursting needs, looked at once, with a cure for whatever is wrong.

It asks as the person who runs it: by their kubeconfig in the cluster, by BURSTER_ARM__* in the cloud (after `az login`:
BURSTER_ARM__AUTH=azure-cli). Exit code 0 where nothing is wrong (warnings are allowed), 1 where something is.
"""

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from burster.cli.output import Output, console, print_json, print_yaml, shown
from burster.cli.target_files import progress, rules_in
from burster.model.errors import InputError
from burster.settings import load_settings


if TYPE_CHECKING:
    from rich.table import Table

    from burster.runtime.doctor import Report, TargetReport, Told


_SYMBOLS: Final = {
    "ok": ("✓", "green"),
    "warning": ("!", "yellow"),
    "problem": ("✗", "bold red"),
    "skipped": ("-", "dim"),
}
_TITLE_WIDE: Final = 56


def doctor(  # noqa: PLR0913 - its options, each by name
    *,
    target: Annotated[str, typer.Option("--target", metavar="NAME", help="Only this BurstTarget.")] = "",
    file: Annotated[
        list[Path] | None,
        typer.Option(
            "-f", "--file", metavar="FILE", help="Targets and policies to look at instead of the cluster's; repeatable."
        ),
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Ask the cluster only: no cloud, no Trustee.")] = False,
    probe_network: Annotated[
        bool,
        typer.Option("--probe-network", help="Try the network from the workers too: starts a short-lived pod on each."),
    ] = False,
    probe_address: Annotated[
        str,
        typer.Option("--probe-address", metavar="HOST", help="With it: what stands for a VM where none runs."),
    ] = "",
    probe_image: Annotated[
        str,
        typer.Option("--probe-image", metavar="IMAGE", help="With it: burster's image; its Deployment's if left out."),
    ] = "",
    canary: Annotated[
        bool, typer.Option("--canary", help="With it: try from inside a VM too, which is paid for; you are asked.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Agree to the canary's price beforehand.")] = False,
    kubeconfig: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A kubeconfig; the usual one if left out.")
    ] = None,
    context: Annotated[str | None, typer.Option(help="A context of the kubeconfig.")] = None,
    output: Output = "table",
) -> None:
    """Look at everything that bursting needs: cluster, cloud-api-adaptor, cloud, Trustee; and say what to do about what is wrong."""
    from burster.cli.controller import given

    kube = given({"kubeconfig": str(kubeconfig) if kubeconfig else None, "context": context})
    settings = load_settings(**given({"kube": kube}))
    from burster.runtime.doctor import DoctorOptions, examine_all
    from burster.runtime.logs import configure_answer_logs
    from burster.runtime.probing import ProbeOptions

    if not probe_network and (probe_address or probe_image or canary or yes):
        raise InputError("--probe-address, --probe-image, --canary and --yes are for --probe-network: give that too")
    probe = ProbeOptions(address=probe_address, image=probe_image, canary=canary) if probe_network else None
    options = DoctorOptions(
        target=target, rules=rules_in(file, about="checks are about targets"), offline=offline, probe=probe
    )
    configure_answer_logs()
    report = asyncio.run(examine_all(settings, options, progress, lambda what: yes or _agrees(what)))
    progress("")
    match output:
        case "json":
            print_json(report)
        case "yaml":
            print_yaml(report)
        case _:
            tell(report)
    sys.stdout.flush()
    if not report.well:
        raise typer.Exit(1)


def _agrees(what: str) -> bool:
    """Ask somebody at a terminal whether it may cost that. Raises InputError where nobody is there."""
    progress("")
    if not sys.stdin.isatty():
        raise InputError(f"nobody is there to agree to {what}: give --yes, or leave --canary out")
    return typer.confirm(f"This starts {what}. Go on?", err=True)


def tell(report: "Report") -> None:
    """Print a report for people, on standard output."""
    from rich.text import Text

    terminal = console()
    for note in report.notes:
        terminal.print(Text(shown(note), style="yellow"))
    terminal.print(Text("cluster", style="bold"), Text(f" {shown(_without_path(report.cluster))}", style="dim"))
    terminal.print(_table(report.findings))
    for target in report.targets:
        terminal.print()
        _tell_target(terminal, target)
    if not report.targets:
        terminal.print()
        terminal.print(Text("There is no BurstTarget: write one, or name a file of one with --file.", style="dim"))
    terminal.print()
    terminal.print(Text(_summary(report)))


def _tell_target(terminal: Any, target: "TargetReport") -> None:
    from rich.text import Text

    terminal.print(Text(shown(target.target), style="bold"), Text(f" {shown(target.provider)}", style="dim"))
    if target.refused:
        terminal.print(Text(f"  ✗ It is not valid: {shown(target.refused)}", style="bold red"))
        return
    groups: dict[str, list[Told]] = {}
    for one in target.findings:
        groups.setdefault(one.group, []).append(one)
    for group, found in groups.items():
        terminal.print(Text(f"  {group}", style="dim"))
        terminal.print(_table(found))


def _table(findings: "list[Told] | tuple[Told, ...]") -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 1))
    table.add_column(width=3, justify="right", no_wrap=True)
    table.add_column(width=_TITLE_WIDE, overflow="fold")
    table.add_column(overflow="fold")
    for one in findings:
        symbol, style = _SYMBOLS[one.verdict]
        said = Text(shown(one.sentence), style="dim" if one.verdict in {"ok", "skipped"} else "")
        if one.cure:
            said.append(f"\n→ {shown(one.cure)}", style="cyan")
        table.add_row(Text(symbol, style=style), Text(one.title), said)
    return table


def _summary(report: "Report") -> str:
    counts = dict.fromkeys(_SYMBOLS, 0)
    for one in report.everything:
        counts[one.verdict] += 1
    words = {"ok": "right", "warning": "worth a look", "problem": "wrong", "skipped": "not asked"}
    said = ", ".join(f"{count} {words[verdict]}" for verdict, count in counts.items() if count)
    held = [target.target for target in report.targets if target.refused or any(one.blocks for one in target.findings)]
    if held:
        return f"{said}. Nothing new starts at {shown(', '.join(held))} until what is wrong there is mended."
    return f"{said}."


def _without_path(url: str) -> str:
    """Return an address without what some proxies, and the lab, have in its path."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.partition('/')[0].rpartition('@')[2]}"
