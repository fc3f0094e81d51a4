"""Whom `burster status`, `why`, `history` and `spend` ask: a finished run, a controller at an address, or a cluster.

In a cluster the controller is asked first, through the API server's proxy; where none answers, or the asker may not, the cluster's own
records, conditions and events are told instead, and a line on standard error says so.
"""

import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final, Protocol

import typer

from burster.cli.run_dir import RunOption as RunOption  # noqa: PLC0414 - asked for together with the others
from burster.model.errors import InputError
from burster.surfaces.answers import HistoryAnswer, HistoryQuery, WhyAnswer
from burster.surfaces.spending import SpendQuery, SpendReport
from burster.surfaces.view import StatusView


HOME: Final = "burster-system"
_EVERY_S: Final = 2.0

ServerOption = Annotated[
    str, typer.Option("--server", metavar="URL", help="Ask the controller there, and nobody else.")
]
TokenFileOption = Annotated[
    Path | None,
    typer.Option("--token-file", metavar="FILE", help="With --server: a token for the audience burster, for who asks."),
]
KubeconfigOption = Annotated[
    str, typer.Option("--kubeconfig", metavar="FILE", help="A kubeconfig; the usual one if left out.")
]
ContextOption = Annotated[str, typer.Option("--context", help="A context of the kubeconfig.")]
NamespaceOption = Annotated[
    str, typer.Option("-n", "--namespace", metavar="NAMESPACE", help="Only what is in this namespace.")
]
HomeOption = Annotated[
    str, typer.Option("--controller-namespace", metavar="NAMESPACE", help="Where the controller runs.")
]
WatchFlag = Annotated[bool, typer.Option("-w", "--watch", help="Go on showing changes until Ctrl-C.")]


class Source(Protocol):
    """Somebody who answers. Raises InputError."""

    @property
    def title(self) -> str:
        """Who it is, for people."""
        ...

    def status(self) -> StatusView:
        """Return how everything stands."""
        ...

    def why(self, name: str) -> WhyAnswer:
        """Return what is known of NAME or NAMESPACE/NAME."""
        ...

    def history(self, query: HistoryQuery) -> HistoryAnswer:
        """Return what was decided."""
        ...

    def spend(self, query: SpendQuery) -> SpendReport:
        """Return what bursting costs."""
        ...

    def now_ms(self) -> int:
        """Return the moment that answers are of: a run's end, or now."""
        ...

    def wait(self) -> None:
        """Return when there may be something new to tell. Raises InputError once for each new trouble."""
        ...


def whom(  # noqa: PLR0913 - the options of four commands
    run: Path | None,
    server: str,
    kubeconfig: str,
    context: str,
    namespace: str,
    home: str,
    *,
    token_file: Path | None = None,
) -> "Whom":
    """Return the options as one value. Raises InputError where they contradict."""
    if run is not None and (server or kubeconfig or context):
        raise InputError("--run reads a finished run: leave --server, --kubeconfig and --context out")
    if server and (kubeconfig or context):
        raise InputError("--server asks the controller itself: leave --kubeconfig and --context out")
    if token_file is not None and not server:
        raise InputError(
            "--token-file is for --server: through the API server a token is requested where one is needed"
        )
    return Whom(run, server, kubeconfig, context, namespace, home, token_file=token_file)


class Whom:
    """Whom to ask, before anybody was."""

    def __init__(  # noqa: PLR0913 - the options of four commands
        self,
        run: Path | None,
        server: str,
        kubeconfig: str,
        context: str,
        namespace: str,
        home: str,
        *,
        token_file: Path | None,
    ) -> None:
        self.run = run
        self.server = server
        self.kubeconfig = kubeconfig
        self.context = context
        self.namespace = namespace
        self.home = home or HOME
        self.token_file = token_file

    @contextmanager
    def asked(self, command: str, *, watch: bool = False) -> Generator[Source]:
        """Give the source to ask. Raises InputError."""
        if self.run is not None:
            if watch:
                raise InputError("a finished run does not change any more: leave --watch out")
            from burster.cli.finished import FinishedRun
            from burster.cli.run_dir import open_run

            with open_run(self.run, command) as ledger:
                yield FinishedRun(ledger, self.namespace)
            return
        from burster.clients.controller import ControllerClient

        if self.server:
            from burster.cli.live_controller import LiveController

            yield LiveController(ControllerClient.at(self.server, self.token_file), self.namespace, _EVERY_S)
            return
        from burster.cli.cluster import ClusterRecords
        from burster.cli.live_controller import ControllerOrRecords, LiveController
        from burster.clients.kube_sync import KubeSync

        with KubeSync.connect(kubeconfig=self.kubeconfig, context=self.context) as kube:
            controller = LiveController(ControllerClient.through(kube, self.home), self.namespace, _EVERY_S)
            with ClusterRecords(kube, self.namespace) as records:
                yield ControllerOrRecords(controller, records, note, watch=watch)


def note(sentence: str) -> None:
    """Tell people something beside the answer."""
    sys.stderr.write(f"burster: {sentence}\n")
    sys.stderr.flush()
