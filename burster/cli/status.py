"""`burster status`: where everything stands, or stood when a run ended."""

from typing import Any

from burster.cli.cluster import ContextOption, KubeconfigOption, status_of_cluster
from burster.cli.output import Output, console, print_json
from burster.cli.run_dir import RunOption, open_run, read_summary, status_of_run
from burster.surfaces.view import StatusView


def status(
    run: RunOption = None, kubeconfig: KubeconfigOption = "", context: ContextOption = "", output: Output = "table"
) -> None:
    """Say where everything stands: in the cluster by its records, or at the end of a run with --run."""
    summary: dict[str, Any] = {}
    if run is None:
        from burster.runtime.clock import SystemClock

        view = status_of_cluster(kubeconfig, context, SystemClock().now_ms())
    else:
        with open_run(run, "status") as ledger:
            view = status_of_run(ledger, f"the run in {ledger.path.parent}")
        summary = read_summary(run)
    _show(view, summary, output)


def _show(view: StatusView, summary: dict[str, Any], output: Output) -> None:
    if output == "json":
        print_json({"status": view, "summary": summary})
        return
    from burster.cli.picture import picture

    terminal = console()
    terminal.print(picture(view))
    failed = [invariant for invariant in summary.get("invariants", []) if not invariant.get("ok")]
    for invariant in failed:
        terminal.print(f"does not hold: {invariant.get('name')}: {invariant.get('detail')}", markup=False, style="red")
