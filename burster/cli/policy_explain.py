"""`burster policy explain`: policies and targets in plain sentences, with the numbers they resolve to.

Prices are those of the shipped list, less what targets have negotiated; openings of windows are told from ``--at``, or from now.
"""

from typing import Annotated, Literal

import typer

from burster.cli.policy_files import Paths, errors_as_asked, known_around, moment_ms, read_files
from burster.policy.explain import explain_policy, explain_target


@errors_as_asked
def explain(
    paths: Paths,
    *,
    target_files: Annotated[
        list[str] | None,
        typer.Option(
            "--target", metavar="FILE", help="A file or folder with the targets, where they are not beside the policy."
        ),
    ] = None,
    at: Annotated[
        str, typer.Option("--at", metavar="TIME", help="Tell openings as of this time; now where left out.")
    ] = "",
    output: Annotated[Literal["text", "json"], typer.Option("-o", "--output", help="How to print it.")] = "text",
) -> None:
    """Say in plain sentences what policies and targets do, with the numbers they resolve to."""
    at_ms = moment_ms(at)
    compiled = read_files(paths).compiled
    beside = read_files(target_files).compiled.targets if target_files else ()
    targets = {target.name: target for target in (*beside, *compiled.targets)}
    known = known_around(targets.values(), at_ms)
    told = [("BurstPolicy", policy.key, explain_policy(policy, targets, known)) for policy in compiled.policies]
    told += [("BurstTarget", target.name, explain_target(target)) for target in compiled.targets]
    if output == "json":
        from burster.cli.output import print_json

        print_json([{"kind": kind, "name": name, "sentences": sentences} for kind, name, sentences in told])
        return
    typer.echo("\n\n".join("\n  ".join([f"{kind} {name}", *sentences]) for kind, name, sentences in told))
