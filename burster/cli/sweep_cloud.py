"""`burster sweep-cloud`: what is in the cloud that no record claims, why it is there to stay or to go, and what it costs."""

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from burster.cli.asking import note
from burster.cli.output import Output, line, print_json, print_table, print_yaml
from burster.model.errors import InputError
from burster.model.quantities import format_duration_ms, format_micro_usd
from burster.settings import load_settings


if TYPE_CHECKING:
    from burster.model.targets import Target
    from burster.runtime.cloud_sweep import SweepReport


def sweep_cloud(  # noqa: PLR0913 - its options, each by name
    *,
    target: Annotated[str, typer.Option("--target", metavar="NAME", help="Only this BurstTarget.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show it: what is done without --yes, too.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Delete what is this cluster's for certain and nobody's.")] = False,
    wait: Annotated[
        bool,
        typer.Option("--wait", help="Wait for the grace, so that what the cloud tells no age of is given it, too."),
    ] = False,
    file: Annotated[
        list[Path] | None,
        typer.Option("-f", "--file", metavar="FILE", help="BurstTargets instead of the cluster's; repeatable."),
    ] = None,
    kubeconfig: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A kubeconfig; the usual one if left out.")
    ] = None,
    context: Annotated[str | None, typer.Option(help="A context of the kubeconfig.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Show also what somebody claims.")] = False,
    output: Output = "table",
) -> None:
    """Show what is in the cloud and no record claims, with the reason for each; with --yes delete what is this cluster's for certain.

    Exit codes: 0 nothing is left behind, or it was deleted; 1 something is; 2 wrong usage, or nothing could be looked at.
    """
    if dry_run and yes:
        raise InputError("--dry-run shows, --yes deletes: give one of the two")
    from burster.cli.controller import given

    kube = given({"kubeconfig": str(kubeconfig) if kubeconfig else None, "context": context})
    settings = load_settings(**given({"kube": kube}))
    from burster.runtime.cloud_sweep import SweepOptions, sweep_once
    from burster.runtime.logs import configure_answer_logs

    options = SweepOptions(target=target, targets=_targets(file), delete=yes, wait=wait)
    configure_answer_logs()
    report = asyncio.run(sweep_once(settings, options, note))
    match output:
        case "json":
            print_json(report)
        case "yaml":
            print_yaml(report)
        case _:
            _tell(report, every=every)
    sys.stdout.flush()
    if report.left or report.troubles:
        raise typer.Exit(1)


def _targets(files: list[Path] | None) -> "tuple[Target, ...]":
    if not files:
        return ()
    from burster.policy.compile import compile_documents
    from burster.policy.errors import as_wrong_input
    from burster.policy.load import load_files

    with as_wrong_input():
        found = tuple(compile_documents(load_files([str(one) for one in files])).targets)
    if not found:
        raise InputError(f"no BurstTarget is in {', '.join(str(one) for one in files)}")
    return found


def age_told(age_ms: int | None) -> str:
    """Return an age for people."""
    return "?" if age_ms is None else format_duration_ms(age_ms // 1000 * 1000)


def _tell(report: "SweepReport", *, every: bool) -> None:
    done = {one.finding.resource.resource_id: one for one in report.swept}
    shown = [one for one in report.findings if every or one.fate != "Stays" or one.code == "AgeUnknown"]
    print_table(
        ("target", "kind", "name", "state", "age#", "per hour#", "what", "why"),
        [
            (
                one.target,
                one.resource.kind,
                one.resource.name,
                one.resource.provisioning_state,
                age_told(one.age_ms),
                "" if one.cost_micro_usd_per_hour is None else format_micro_usd(one.cost_micro_usd_per_hour),
                done[one.resource.resource_id].outcome if one.resource.resource_id in done else one.fate,
                (done[one.resource.resource_id].message if one.resource.resource_id in done else "") or one.why,
            )
            for one in shown
        ],
        empty="Nothing is left behind.",
    )
    for trouble in report.troubles:
        note(trouble)
    going = sum(one.fate == "Goes" for one in report.findings) - len(report.swept)
    unproven = sum(one.fate == "Unproven" for one in report.findings)
    cost = sum(one.cost_micro_usd_per_hour or 0 for one in report.findings if one.fate != "Stays")
    if report.swept:
        line(f"{sum(one.outcome == 'Deleted' for one in report.swept)} of {len(report.swept)} deleted")
    if going:
        line(f"{going} would be deleted by --yes")
    if unproven:
        line(f"{unproven} can't be proven to be this cluster's ({report.cluster}): see spec.sweep.scope of the target")
    if cost and not report.swept:
        line(f"what is left behind costs {format_micro_usd(cost)} an hour at list prices")
