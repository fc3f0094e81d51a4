"""`burster reaper`: ends what nobody looks after any more. Meant to run beside the controller, as somebody else: see deploy/reaper."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from burster.cli.controller import given
from burster.cli.output import Form, line, print_json, print_table, print_yaml, shown
from burster.cli.sweep_cloud import age_told
from burster.model.errors import InputError
from burster.settings import load_settings


def reaper(  # noqa: PLR0913 - its options, each by name
    *,
    once: Annotated[bool, typer.Option("--once", help="Look once, say what was found, stop.")] = False,
    mode: Annotated[
        Literal["report", "delete"] | None,
        typer.Option("--mode", help="Only tell, or end what may go. (default: report)"),
    ] = None,
    targets: Annotated[
        Path | None,
        typer.Option("--targets", metavar="PATH", help="BurstTargets to look after; the cluster's if left out."),
    ] = None,
    api_gone: Annotated[
        bool, typer.Option("--api-gone", help="There is no cluster any more: go by the cloud alone, and at once.")
    ] = False,
    kubeconfig: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A kubeconfig; the usual one if left out.")
    ] = None,
    context: Annotated[str | None, typer.Option(help="A context of the kubeconfig.")] = None,
    output: Annotated[Form, typer.Option("-o", "--output", help="With --once: how to print it.")] = "table",
) -> None:
    """End what nobody looks after any more: by leases on record and on tags, by an identity of its own, with or without the API server.

    Exit codes of --once: 0 nothing is left, or all of it was ended; 1 something is left, or a target could not be listed;
    2 wrong usage, or nothing could be looked at.
    """
    flags: dict[str, Any] = {
        "kube": given({"kubeconfig": str(kubeconfig) if kubeconfig else None, "context": context}),
        "reaper": given(
            {
                "mode": mode,
                "targets": str(targets) if targets else None,
                "api": "none" if api_gone else None,
            }
        ),
    }
    settings = load_settings(**given(flags))
    from burster.runtime.logs import configure_answer_logs
    from burster.runtime.reaper_service import reap_once, run_reaper

    if not once:
        if output != "table":
            raise InputError("-o is for --once: without it, the reaper tells by its log")
        run_reaper(settings)
        return
    configure_answer_logs()
    done = reap_once(settings)
    left = [one for one in done.reaped if one.outcome in {"Reported", "Failed", "Later"}]
    if output == "json":
        print_json(done)
    elif output == "yaml":
        print_yaml(done)
    else:
        outcomes = {one.finding.resource.resource_id: one for one in done.reaped}
        print_table(
            ("target", "kind", "name", "age#", "what", "why"),
            [
                (
                    one.target,
                    one.resource.kind,
                    one.resource.name,
                    age_told(one.age_ms),
                    outcomes[one.resource.resource_id].outcome if one.resource.resource_id in outcomes else one.fate,
                    outcomes[one.resource.resource_id].message
                    if one.resource.resource_id in outcomes and outcomes[one.resource.resource_id].message
                    else one.why,
                )
                for one in done.findings
            ],
            empty="Nothing is there that is named like burster's.",
        )
        for trouble in done.troubles:
            line(shown(f"could not be read: {trouble}"))
        line(f"{len(left)} left" + (" (mode report: nothing was touched)" if done.mode == "Report" and left else ""))
    if left or done.unlisted:
        raise typer.Exit(1)
