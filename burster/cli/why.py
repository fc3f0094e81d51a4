"""`burster why`: every decision about one pod (or by one policy), with all reasons and numbers, and the life of its bursts."""

from collections import Counter
from typing import Annotated, Any

import msgspec
import typer

from burster.cli.output import Output, line, print_json, print_table
from burster.cli.replayed import replayed
from burster.cli.run_dir import RunOption, open_run, resolve
from burster.engine import State
from burster.engine.why import why_policy
from burster.ledger import Ledger
from burster.ledger.story import BurstStory, Event, burst_stories, life_of_burst, pod_events
from burster.model.decisions import Decision
from burster.model.quantities import format_duration_ms, format_micro_usd
from burster.surfaces import words


_POLICY_DECISIONS_MAX = 20
_HOLDS = {(True, False): "yes", (True, True): "yes", (False, True): "not now", (False, False): "no"}


def why(
    name: Annotated[
        str, typer.Argument(metavar="POD|POLICY", help="NAME or NAMESPACE/NAME of a pod, policy or burst.")
    ],
    run: RunOption = None,
    output: Output = "table",
) -> None:
    """Say what was decided about a pod or by a policy, why, and what would change it."""
    with open_run(run, "why") as ledger:
        policies = set(ledger.policies())
        bursts = tuple(story.burst for story in burst_stories(ledger))
        keys = resolve(name, (*ledger.subjects(), *bursts))
        answers: list[dict[str, Any]] = []
        state = replayed(ledger) if policies.intersection(keys) else None
        for key in dict.fromkeys(keys):
            if state is not None and key in policies:
                answers.append(_policy(ledger, key, state))
            else:
                answers.append(_subject(ledger, key))
    if output == "json":
        print_json(answers[0] if len(answers) == 1 else answers)
        return
    for number, answer in enumerate(answers):
        if number:
            line()
        if "verdicts" in answer:
            _print_policy(answer)
        else:
            _print_subject(answer)


def _subject(ledger: Ledger, key: str) -> dict[str, Any]:
    """Gather what is known of a pod, or of a burst or VM that decisions are about."""
    about = list(ledger.decisions(subject=key))
    stories: dict[str, BurstStory] = {}
    for burst in dict.fromkeys([key, *(decision.burst for decision in about if decision.burst)]):
        for story in burst_stories(ledger, burst=burst):
            stories[story.burst] = story
        about += ledger.decisions(burst=burst)
    unique = {msgspec.msgpack.encode(decision): decision for decision in about}
    return {
        "about": key,
        "seen": pod_events(ledger, key),
        "decisions": sorted(unique.values(), key=lambda decision: decision.at_ms),
        "bursts": [
            {**msgspec.structs.asdict(story), "life": life_of_burst(ledger, story.burst)} for story in stories.values()
        ],
    }


def _policy(ledger: Ledger, key: str, state: State) -> dict[str, Any]:
    decisions = ledger.decisions(policy=key)
    stories = [story for story in burst_stories(ledger) if story.policy == key]
    counts = Counter((d.verdict, d.reasons[0].code if d.reasons else "") for d in decisions)
    return {
        "about": key,
        "verdicts": [
            {"verdict": verdict, "code": code, "count": count} for (verdict, code), count in counts.most_common()
        ],
        "bursts": len(stories),
        "settled_micro_usd": sum(story.settled_micro_usd or 0 for story in stories),
        "chain": why_policy(state, key),
        "decisions": decisions[-_POLICY_DECISIONS_MAX:],
    }


def _print_subject(answer: dict[str, Any]) -> None:
    line(answer["about"])
    seen: tuple[Event, ...] = answer["seen"]
    decisions: list[Decision] = answer["decisions"]
    for event in seen:
        line(f"  {words.clock_time(event.at_ms)}  {event.what}")
    line()
    for decision in decisions:
        print_decision(decision)
    if not decisions:
        line("  nothing was decided: it never waited long enough for a policy to look at it")
    for burst in answer["bursts"]:
        line()
        cost = burst["settled_micro_usd"]
        settled = "not settled" if cost is None else f"cost {format_micro_usd(cost)}"
        line(f"The burst {burst['burst']} at {burst['offering']}, now {burst['phase']}, {settled}:")
        life: tuple[Event, ...] = burst["life"]
        for event in life:
            after = format_duration_ms(max(0, event.at_ms - burst["decided_at_ms"]))
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


def _print_policy(answer: dict[str, Any]) -> None:
    line(
        f"Policy {answer['about']}: {answer['bursts']} bursts, {format_micro_usd(answer['settled_micro_usd'])} settled"
    )
    line()
    print_table(
        ("verdict", "because", "times#"),
        [(row["verdict"], row["code"], row["count"]) for row in answer["verdicts"]],
        empty="It has decided nothing.",
    )
    line()
    if answer["chain"]:
        line("The whole chain at the end of the run:")
        print_table(
            ("check", "about", "holds", "because"),
            [
                (link.check, link.about, _HOLDS[link.holds, link.waits], link.reason.sentence)
                for link in answer["chain"]
            ],
            empty="",
        )
        line()
    line(f"The latest {len(answer['decisions'])} decisions:")
    for decision in answer["decisions"]:
        line(
            f"  {words.clock_time(decision.at_ms)}  {decision.verdict:8} {decision.subject}: {words.sentence(decision)}"
        )
