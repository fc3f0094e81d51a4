"""`burster spend`: what bursting has cost, by policy and target."""

from collections.abc import Iterable, Sequence

import msgspec

from burster.cli.output import Output, line, print_json, print_table
from burster.cli.run_dir import RunOption, open_run
from burster.ledger.story import burst_stories
from burster.model.quantities import format_micro_usd
from burster.model.stimuli import Spend


class SpendRow(msgspec.Struct, frozen=True, kw_only=True):
    """What one policy has settled at one target."""

    policy: str
    target: str
    bursts: int
    micro_usd: int
    dearest_micro_usd: int
    dearest: str  #: the burst that cost most


def spend(run: RunOption = None, output: Output = "table") -> None:
    """Say what bursting has cost, by policy and target."""
    with open_run(run, "spend") as ledger:
        entries = ledger.spend()
        settled = {entry.burst for entry in entries}
        open_ones = [story for story in burst_stories(ledger) if story.burst not in settled]
    rows = by_policy(entries)
    total = sum(entry.micro_usd for entry in entries)
    if output == "json":
        print_json({"total_micro_usd": total, "by_policy": rows, "bursts": entries, "unsettled": len(open_ones)})
        return
    print_table(
        ("policy", "target", "bursts#", "settled#", "mean#", "dearest#", "which"),
        [
            (
                row.policy,
                row.target,
                row.bursts,
                format_micro_usd(row.micro_usd),
                format_micro_usd(row.micro_usd // row.bursts),
                format_micro_usd(row.dearest_micro_usd),
                row.dearest,
            )
            for row in rows
        ],
        empty="Nothing was spent.",
    )
    waiting = f"; {len(open_ones)} not settled" if open_ones else ""
    line(f"{format_micro_usd(total)} for {len(entries)} bursts{waiting}")


def by_policy(entries: Iterable[Spend]) -> tuple[SpendRow, ...]:
    """Return the entries added up, the dearest policy first."""
    groups: dict[tuple[str, str], list[Spend]] = {}
    for entry in entries:
        groups.setdefault((entry.policy, entry.target), []).append(entry)
    rows = [_row(policy, target, group) for (policy, target), group in groups.items()]
    return tuple(sorted(rows, key=lambda row: (-row.micro_usd, row.policy, row.target)))


def _row(policy: str, target: str, group: Sequence[Spend]) -> SpendRow:
    dearest = max(group, key=lambda entry: entry.micro_usd)
    return SpendRow(
        policy=policy,
        target=target,
        bursts=len(group),
        micro_usd=sum(entry.micro_usd for entry in group),
        dearest_micro_usd=dearest.micro_usd,
        dearest=dearest.burst,
    )
