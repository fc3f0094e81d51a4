"""`burster spend`: what bursting costs, by policy, namespace, target and day; a sheet of it for those who charge it back."""

from decimal import Decimal
from typing import Annotated, Final, get_args

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
    note,
    whom,
)
from burster.cli.output import SheetForm, SheetOutput, line, print_csv, print_table
from burster.cli.watching import show
from burster.model.errors import InputError
from burster.model.quantities import MICRO_USD_PER_USD, format_micro_usd, parse_duration_ms
from burster.surfaces.spending import (
    BUDGET_ZONES,
    DEFAULT_BY,
    GROUPINGS,
    ROWS_MAX,
    Amounts,
    Grouping,
    SpendQuery,
    SpendReport,
    SpendRow,
)


#: of a sheet or a document nothing may be missing that a table leaves out
_TABLE_ROWS: Final = 200
_LEFT_OUT: Final = "(left out)"
_NOBODYS: Final = "(left behind)"  #: in place of a policy: what VMs have cost that no record claimed


def spend(  # noqa: PLR0913 - its options, each by name
    *,
    run: RunOption = None,
    server: ServerOption = "",
    token_file: TokenFileOption = None,
    kubeconfig: KubeconfigOption = "",
    context: ContextOption = "",
    namespace: NamespaceOption = "",
    controller_namespace: HomeOption = "burster-system",
    by: Annotated[
        str, typer.Option("--by", metavar="LIST", help=f"Group by any of {', '.join(GROUPINGS)}, with commas between.")
    ] = ",".join(DEFAULT_BY),
    timezone: Annotated[
        str,
        typer.Option(
            "--timezone", metavar="ZONE", help=f"Whose days: UTC, Europe/Berlin, or {BUDGET_ZONES}: each policy's own."
        ),
    ] = "UTC",
    policy: Annotated[str, typer.Option("--policy", help="Only this policy: NAME or NAMESPACE/NAME.")] = "",
    since: Annotated[
        str | None, typer.Option(metavar="DURATION", help="Only what was settled in the last so much time: 24h.")
    ] = None,
    first: Annotated[str, typer.Option("--from", metavar="DAY", help="From this day on: 2026-11-01.")] = "",
    last: Annotated[str, typer.Option("--to", metavar="DAY", help="Up to this day, and with it.")] = "",
    limit: Annotated[
        int, typer.Option(min=0, max=ROWS_MAX, help=f"At most so many rows; 0: {_TABLE_ROWS} in a table, else all.")
    ] = 0,
    watch: WatchFlag = False,
    output: SheetOutput = "table",
) -> None:
    """Say what bursting costs: settled, reserved, and running so far."""
    if watch and output == "csv":
        raise InputError("a sheet has one heading: leave --watch out, or choose -o json")
    with whom(run, server, kubeconfig, context, namespace, controller_namespace, token_file=token_file).asked(
        "spend", watch=watch
    ) as source:
        query = SpendQuery(
            by=_groupings(by),
            timezone=timezone,
            policy=policy,
            since_ms=None if since is None else source.now_ms() - parse_duration_ms(since),
            first_day=first,
            last_day=last,
            limit=limit or (_TABLE_ROWS if output == "table" else ROWS_MAX),
        )
        show(
            source,
            lambda: source.spend(query),
            lambda report: _tell(report, output),
            output=output,
            watch=watch,
            document=_document,
        )


def _groupings(text: str) -> tuple[Grouping, ...]:
    known: dict[str, Grouping] = {name: name for name in get_args(Grouping)}
    names = [part.strip() for part in text.split(",") if part.strip()]
    for name in names:
        if name not in known:
            raise InputError(f"can't group by {name!r}: known are {', '.join(GROUPINGS)}")
    return tuple(known[name] for name in names)


def _document(report: SpendReport) -> dict[str, object]:
    return {
        "source": report.source,
        "at_ms": report.at_ms,
        "dry_run": report.dry_run,
        "complete": report.complete,
        "by": report.by,
        "timezone": report.timezone,
        "total_micro_usd": report.total.settled_micro_usd,
        "unsettled": report.total.open,
        "total": report.total,
        "rows": report.rows,
        "rows_total": report.rows_total,
        "left_out": report.left_out,
    }


def _tell(report: SpendReport, output: SheetForm) -> None:
    if not report.complete:
        note("what was settled more than about an hour ago is not here: the controller's ledger has it")
    if output == "csv":
        _print_sheet(report)
        return
    has_days = "day" in report.by
    print_table(
        (*_headings(report), "settled#", "bursts#", "mean#", "dearest#", "which", "reserved#", "running#", "open#"),
        [
            (
                *_names(row, report),
                format_micro_usd(row.settled_micro_usd),
                row.bursts,
                format_micro_usd((row.settled_micro_usd - row.leaked_micro_usd) // row.bursts) if row.bursts else "",
                format_micro_usd(row.dearest_micro_usd) if row.bursts else "",
                row.dearest,
                format_micro_usd(row.reserved_micro_usd),
                format_micro_usd(row.running_micro_usd),
                row.open,
            )
            for row in report.rows
        ],
        empty="Nothing was spent.",
    )
    if report.left_out != Amounts():
        out = report.left_out
        line(
            f"{len(report.rows)} of {report.rows_total} rows; in the others {format_micro_usd(out.settled_micro_usd)} settled, "
            f"{format_micro_usd(out.reserved_micro_usd)} reserved"
        )
    total = report.total
    waiting = f"; {total.open} not settled" if total.open else ""
    line(f"{format_micro_usd(total.settled_micro_usd)} for {total.bursts} bursts{waiting}")
    if total.leaked_micro_usd:
        line(
            f"{format_micro_usd(total.leaked_micro_usd)} of it for VMs that no record claimed (burster sweep-cloud shows them)"
        )
    if total.open:
        line(
            f"{format_micro_usd(total.reserved_micro_usd)} reserved for what is not settled; "
            f"it has cost {format_micro_usd(total.running_micro_usd)} of that so far"
        )
    if has_days:
        zone = "of each policy's budget" if report.timezone == BUDGET_ZONES else report.timezone
        line(f"USD; days in the time zone {zone}, a burst on the day on which it was settled")
    if report.dry_run:
        line("A dry run: nothing of it was really spent.")


def _headings(report: SpendReport) -> tuple[str, ...]:
    return tuple(name for name in GROUPINGS if name in report.by)


def _names(row: SpendRow, report: SpendReport) -> list[str]:
    nobodys = _NOBODYS if row.leaked_micro_usd and not row.policy else ""
    values = {"day": row.day, "namespace": row.namespace, "policy": row.policy or nobodys, "target": row.target}
    zone = f" {row.timezone}" if report.timezone == BUDGET_ZONES else ""
    return [f"{values[name]}{zone}" if name == "day" else values[name] for name in report.by]


def _print_sheet(report: SpendReport) -> None:
    """Print a sheet whose rows add up to the total: what is beyond the limit is a row, too."""
    columns = (
        *("day", "timezone", "namespace", "policy", "target"),
        *("settled_bursts", "settled_usd", "open_bursts", "reserved_usd", "running_usd"),
    )
    rows: list[tuple[object, ...]] = [
        (row.day, row.timezone, row.namespace, row.policy, row.target, *_amounts(row)) for row in report.rows
    ]
    if report.left_out != Amounts():
        rows.append((_LEFT_OUT, "", _LEFT_OUT, _LEFT_OUT, _LEFT_OUT, *_amounts(report.left_out)))
        note(f"the sheet has {len(report.rows)} of {report.rows_total} rows, the others are its last one: see --limit")
    print_csv(columns, rows)
    if report.dry_run:
        note("a dry run: nothing of it was really spent")


def _amounts(sums: Amounts) -> tuple[object, ...]:
    return (
        sums.bursts,
        _usd(sums.settled_micro_usd),
        sums.open,
        _usd(sums.reserved_micro_usd),
        _usd(sums.running_micro_usd),
    )


def _usd(micro_usd: int) -> str:
    """Return an amount with all six digits: what is rounded does not add up."""
    return f"{Decimal(micro_usd) / MICRO_USD_PER_USD:.6f}"
