"""`burster history`: the decisions in order of time; with ``--verify`` also whether the engine, asked again, decides the same."""

import sys
from collections import Counter
from typing import Annotated, Final

import msgspec
import typer

from burster.cli.asking import (
    ContextOption,
    HomeOption,
    KubeconfigOption,
    NamespaceOption,
    RunOption,
    ServerOption,
    Source,
    TokenFileOption,
    WatchFlag,
    note,
    whom,
)
from burster.cli.output import SheetForm, SheetOutput, line, print_csv, print_json, print_table, print_yaml
from burster.cli.run_dir import open_run
from burster.cli.watching import next_answer
from burster.ledger import Ledger
from burster.model.decisions import Decision
from burster.model.errors import InputError
from burster.model.quantities import parse_duration_ms
from burster.surfaces import words
from burster.surfaces.answers import HISTORY_MAX, EventTold, HistoryAnswer, HistoryQuery, NotFoundError


VerifyFlag = Annotated[bool, typer.Option("--verify", help="Replay a run's ledger and compare every decision.")]
_COLUMNS: Final = ("UTC", "verdict", "policy", "about", "because")
_SHEET: Final = ("at_utc", "verdict", "policy", "subject", "burst", "offering", "code", "reason")
_EVENT_COLUMNS: Final = ("UTC", "about", "reason", "message")
Told = Decision | EventTold


def history(  # noqa: PLR0913 - its options, each by name
    *,
    run: RunOption = None,
    server: ServerOption = "",
    token_file: TokenFileOption = None,
    kubeconfig: KubeconfigOption = "",
    context: ContextOption = "",
    namespace: NamespaceOption = "",
    controller_namespace: HomeOption = "burster-system",
    policy: Annotated[str | None, typer.Option(help="Only decisions of this policy: NAME or NAMESPACE/NAME.")] = None,
    since: Annotated[
        str | None, typer.Option(metavar="DURATION", help="Only the last so much time, for example 10m.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000_000, help="At most so many, the latest ones.")] = 200,
    verify: VerifyFlag = False,
    watch: WatchFlag = False,
    output: SheetOutput = "table",
) -> None:
    """List the decisions in order of time."""
    if verify:
        with open_run(run, "history --verify") as ledger:
            _verify(ledger, output)
        return
    with whom(run, server, kubeconfig, context, namespace, controller_namespace, token_file=token_file).asked(
        "history", watch=watch
    ) as source:
        since_ms = None if since is None else source.now_ms() - parse_duration_ms(since)
        query = HistoryQuery(policy=policy or "", since_ms=since_ms, limit=limit)
        answer = source.history(query)
        if watch and output == "csv":
            raise InputError("a sheet has one heading: leave --watch out, or choose -o json")
        _tell(answer, output, alone=not watch)
        if watch:
            _follow(source, query, answer, output)


def _tell(answer: HistoryAnswer, output: SheetForm, *, alone: bool) -> None:
    """Print an answer; not ``alone``: others follow, so it has no frame around it."""
    told = _told(answer)
    if output == "json":
        if alone:
            print_json(told)
        else:
            for one in told:
                print_json(one, indent=False)
    elif output == "yaml":
        if alone or told:
            print_yaml(told, another=False)
    elif output == "csv":
        print_csv(_EVENT_COLUMNS if answer.events else _SHEET, map(_cells, told))
    elif alone:
        print_table(_EVENT_COLUMNS if answer.events else _COLUMNS, map(_row, told), empty="Nothing was decided.")
        if len(told) < answer.total:
            line(
                f"{len(told)} of {answer.total} {'events' if answer.events else 'decisions'}; --limit and --since choose others"
            )
    else:
        for one in told:
            line("  ".join(part for part in _row(one) if part))


def _told(answer: HistoryAnswer) -> tuple[Told, ...]:
    return answer.events or answer.decisions


def _row(one: Told) -> tuple[str, ...]:
    if isinstance(one, EventTold):
        return words.clock_time(one.at_ms), one.about, one.reason, one.message
    return words.clock_time(one.at_ms), one.verdict, one.policy, one.subject or one.burst, words.sentence(one)


def _cells(one: Told) -> tuple[str, ...]:
    if isinstance(one, EventTold):
        return words.moment(one.at_ms), one.about, one.reason, one.message
    code = one.reasons[0].code if one.reasons else ""
    moment = words.moment(one.at_ms)
    return moment, one.verdict, one.policy, one.subject, one.burst, one.offering, code, words.sentence(one)


def _follow(source: Source, query: HistoryQuery, answer: HistoryAnswer, output: SheetForm) -> None:
    """Print what is new, for ever."""
    latest = max((one.at_ms for one in _told(answer)), default=query.since_ms or 0)
    known = Counter(msgspec.msgpack.encode(one) for one in _told(answer) if one.at_ms == latest)
    while True:
        sys.stdout.flush()
        later = msgspec.structs.replace(query, since_ms=latest, limit=HISTORY_MAX)
        answer = next_answer(source, lambda asked=later: source.history(asked))
        fresh, again = list[Told](), Counter(known)
        for one in _told(answer):
            encoded = msgspec.msgpack.encode(one)
            if again[encoded]:
                again[encoded] -= 1
            else:
                fresh.append(one)
        if len(_told(answer)) == HISTORY_MAX:
            note(f"more than {HISTORY_MAX} decisions since {words.clock_time(latest)}: the first of them are not shown")
        if not fresh:
            continue
        newest = max(one.at_ms for one in fresh)
        known = Counter(msgspec.msgpack.encode(one) for one in _told(answer) if one.at_ms == newest)
        latest = newest
        events = tuple(one for one in fresh if isinstance(one, EventTold))
        decisions = tuple(one for one in fresh if isinstance(one, Decision))
        _tell(HistoryAnswer(decisions=decisions, events=events), output, alone=False)


def _verify(ledger: Ledger, output: str) -> None:
    from burster.engine import initial_state, snapshot, step
    from burster.ledger.replay import replay

    problems = ledger.integrity()
    if problems:
        raise NotFoundError(f"{ledger.where} is damaged: {'; '.join(problems)}")
    report = replay(ledger, initial_state, step, snapshot.restore)
    if output == "json":
        print_json({"same": report.difference is None, "decisions_sha256": ledger.decisions_sha256(), "replay": report})
        if report.difference is not None:
            raise typer.Exit(1)
        return
    if report.difference is not None:
        raise NotFoundError(f"{ledger.where}: {report.difference.sentence}")
    if report.skipped:
        line(f"{report.skipped} steps could not be compared: something before them is not in the ledger")
    line(
        f"The same: {report.decisions} decisions in {report.steps} steps of {report.runs} "
        f"{'run' if report.runs == 1 else 'runs'}, sha256 {ledger.decisions_sha256()}"
    )
