"""A finished demo's or simulation's run as a source, and a controller's ledger in a directory. Used by ``asking`` only."""

import msgspec

from burster.cli.replayed import replayed
from burster.cli.run_dir import status_of_run
from burster.engine.why import why_policy
from burster.ledger import Ledger
from burster.runtime import answering
from burster.surfaces.answers import HistoryAnswer, HistoryQuery, WhyAnswer
from burster.surfaces.spending import SpendQuery, SpendReport, spend_report
from burster.surfaces.view import StatusView


_WHERE = "in this run"


class FinishedRun:
    """Answers from a ledger at its end."""

    def __init__(self, ledger: Ledger, namespace: str) -> None:
        self._ledger = ledger
        self._namespace = namespace

    @property
    def title(self) -> str:
        """Who it is, for people."""
        return f"the run in {self._ledger.path.parent}"

    def status(self) -> StatusView:
        """Return how things stood when the run ended."""
        return status_of_run(self._ledger, self.title)

    def why(self, name: str) -> WhyAnswer:
        """Return what is known of NAME or NAMESPACE/NAME."""
        key = f"{self._namespace}/{name}" if self._namespace and "/" not in name else name
        answer = answering.why_answer(self._ledger, key, where=_WHERE)
        if answer.policy is None:
            return answer
        chain = why_policy(replayed(self._ledger), answer.policy.about)
        return msgspec.structs.replace(answer, policy=msgspec.structs.replace(answer.policy, chain=chain))

    def history(self, query: HistoryQuery) -> HistoryAnswer:
        """Return decisions."""
        return answering.history_answer(self._ledger, msgspec.structs.replace(query, namespace=self._namespace))

    def spend(self, query: SpendQuery) -> SpendReport:
        """Return what the run has cost; what is open at its end is what the engine, told the same again, has set aside."""
        ledger = self._ledger
        settled, state = ledger.spend(), replayed(self._ledger)
        still_open = answering.open_money(state)
        if query.policy:
            names = (*ledger.policies(), *(spend.policy for spend in settled))
            key = answering.resolve(query.policy, names, what="was spent by policy", where=_WHERE)
            query = msgspec.structs.replace(query, policy=key)
        query = msgspec.structs.replace(query, namespace=self._namespace)
        return spend_report(
            settled, still_open, query, now_ms=ledger.span_ms()[1], source=self.title, zone_of=answering.zones_of(state)
        )

    def now_ms(self) -> int:
        """Return the run's end."""
        return self._ledger.span_ms()[1]

    def wait(self) -> None:
        """Never asked: a finished run has no news."""
