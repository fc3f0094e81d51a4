"""`burster status`: where everything stands, or stood when a run ended."""

from typing import Any

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
from burster.cli.output import Output, console, shown
from burster.cli.run_dir import read_summary
from burster.cli.watching import show
from burster.surfaces.view import StatusView


def status(  # noqa: PLR0913 - its options, each by name
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
    """Say where everything stands: in the cluster by its controller or its records, or at the end of a run with --run."""
    with whom(run, server, kubeconfig, context, namespace, controller_namespace, token_file=token_file).asked(
        "status", watch=watch
    ) as source:
        summary = {} if run is None else read_summary(run)
        show(
            source,
            source.status,
            lambda view: _tell(view, summary),
            output=output,
            watch=watch,
            document=lambda view: {"source": source.title, "status": view, "summary": summary},
        )


def _tell(view: StatusView, summary: dict[str, Any]) -> None:
    from burster.cli.picture import picture

    terminal = console()
    terminal.print(picture(view))
    failed = [invariant for invariant in summary.get("invariants", []) if not invariant.get("ok")]
    for invariant in failed:
        sentence = shown(f"does not hold: {invariant.get('name')}: {invariant.get('detail')}")
        terminal.print(sentence, markup=False, style="red")
