"""`burster status`: where everything stands, or stood when a run ended."""

from burster.cli.output import Output, console, print_json
from burster.cli.run_dir import RunOption, open_run, read_summary, status_of_run


def status(run: RunOption = None, output: Output = "table") -> None:
    """Say where everything stands: on-prem, pending pods, bursts, money, the latest decisions."""
    with open_run(run, "status") as ledger:
        title = f"the run in {ledger.path.parent}"
        view = status_of_run(ledger, title)
    summary = read_summary(ledger.path.parent)
    if output == "json":
        print_json({"status": view, "summary": summary})
        return
    from burster.cli.live import picture

    terminal = console()
    terminal.print(picture(view))
    failed = [invariant for invariant in summary.get("invariants", []) if not invariant.get("ok")]
    for invariant in failed:
        terminal.print(f"does not hold: {invariant.get('name')}: {invariant.get('detail')}", markup=False, style="red")
