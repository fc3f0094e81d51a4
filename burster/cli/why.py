"""`burster why`: every decision about one pod (or by one policy), with all reasons and numbers, and the life of its bursts."""

from typing import Annotated, Any

import typer

from burster.cli.asking import (
    ContextOption,
    HomeOption,
    KubeconfigOption,
    NamespaceOption,
    RunOption,
    ServerOption,
    TokenFileOption,
    WatchFlag,
    whom,
)
from burster.cli.output import Output, line, print_table
from burster.cli.watching import show
from burster.model.decisions import Decision
from burster.model.quantities import format_duration_ms, format_micro_usd
from burster.surfaces import words
from burster.surfaces.answers import BurstTold, Condition, PolicyAnswer, SubjectAnswer, WhyAnswer


_HOLDS = {(True, False): "yes", (True, True): "yes", (False, True): "not now", (False, False): "no"}


def why(  # noqa: PLR0913 - its options, each by name
    name: Annotated[
        str, typer.Argument(metavar="POD|POLICY", help="NAME or NAMESPACE/NAME of a pod, policy or burst.")
    ],
    *,
    run: RunOption = None,
    server: ServerOption = "",
    token_file: TokenFileOption = None,
    kubeconfig: KubeconfigOption = "",
    context: ContextOption = "",
    namespace: NamespaceOption = "",
    controller_namespace: HomeOption = "burster-system",
    watch: WatchFlag = False,
    output: Output = "table",
) -> None:
    """Say what was decided about a pod or by a policy, why, and what would change it."""
    with whom(run, server, kubeconfig, context, namespace, controller_namespace, token_file=token_file).asked(
        "why", watch=watch
    ) as source:
        show(
            source,
            lambda: source.why(name),
            lambda answer: _tell(answer, finished=run is not None),
            output=output,
            watch=watch,
            document=_document,
        )


def _document(answer: WhyAnswer) -> Any:
    """Return what JSON shows: one answer, or a list where a policy and a pod have the same name."""
    return answer.parts[0] if len(answer.parts) == 1 else answer.parts


def _tell(answer: WhyAnswer, *, finished: bool) -> None:
    for number, part in enumerate(answer.parts):
        if number:
            line()
        if isinstance(part, PolicyAnswer):
            _print_policy(part, finished=finished)
        else:
            _print_subject(part)


def _print_subject(answer: SubjectAnswer) -> None:
    line(answer.about)
    for event in answer.seen:
        line(f"  {words.clock_time(event.at_ms)}  {event.what}")
    _print_conditions(answer.conditions)
    line()
    for decision in answer.decisions:
        print_decision(decision)
    if not answer.decisions and not answer.conditions:
        line("  nothing was decided: it never waited long enough for a policy to look at it")
    if answer.now is not None:
        line()
        line(f"Now: {answer.now.verdict}{f' by {answer.now.policy}' if answer.now.policy else ''}")
        for reason in answer.now.reasons:
            line(f"    {reason.code}: {reason.sentence}")
    for burst in answer.bursts:
        line()
        _print_burst(burst)


def _print_burst(burst: BurstTold) -> None:
    cost = burst.settled_micro_usd
    settled = "not settled" if cost is None else f"cost {format_micro_usd(cost)}"
    line(f"The burst {burst.burst} at {burst.offering}, now {burst.phase}, {settled}:")
    for event in burst.life:
        after = format_duration_ms(max(0, event.at_ms - burst.decided_at_ms))
        line(f"  {words.clock_time(event.at_ms)}  +{after:<9} {event.what}")


def print_decision(decision: Decision) -> None:
    """Print a decision: verdict, every reason with its numbers, and what would change it."""
    by = f" by {decision.policy}" if decision.policy else ""
    where = f" at {decision.offering}" if decision.offering else ""
    line(f"{words.clock_time(decision.at_ms)}  {decision.verdict}{where}{by}")
    for reason in decision.reasons:
        line(f"    {reason.code}: {reason.sentence}")
        if reason.numbers:
            line(f"        {words.numbers(reason.numbers)}")
    change = words.what_would_change(decision)
    if change:
        line(f"    What would change it: {change}")


def _print_conditions(conditions: tuple[Condition, ...]) -> None:
    if conditions:
        print_table(
            ("condition", "status", "since (UTC)", "reason", "message"),
            [(one.type, one.status, words.moment(one.since_ms), one.reason, one.message) for one in conditions],
            empty="",
        )


def _print_policy(answer: PolicyAnswer, *, finished: bool) -> None:
    line(f"Policy {answer.about}: {answer.bursts} bursts, {format_micro_usd(answer.settled_micro_usd)} settled")
    line()
    _print_conditions(answer.conditions)
    if answer.conditions and not answer.decisions:
        return
    print_table(
        ("verdict", "because", "times#"),
        [(row.verdict, row.code, row.count) for row in answer.verdicts],
        empty="It has decided nothing.",
    )
    line()
    if answer.chain:
        line(f"The whole chain {'at the end of the run' if finished else 'now'}:")
        print_table(
            ("check", "about", "holds", "because"),
            [(link.check, link.about, _HOLDS[link.holds, link.waits], link.reason.sentence) for link in answer.chain],
            empty="",
        )
        line()
    line(f"The latest {len(answer.decisions)} decisions:")
    for decision in answer.decisions:
        line(
            f"  {words.clock_time(decision.at_ms)}  {decision.verdict:8} {decision.subject}: {words.sentence(decision)}"
        )
