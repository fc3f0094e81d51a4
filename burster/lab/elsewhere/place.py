"""The second provider's part of a cluster: its RuntimeClass, its webhook, its cloud-api-adaptor and its peerpod-ctrl, started together."""

from collections.abc import Callable
from typing import Final

from burster.lab.apiserver.errors import ApiError
from burster.lab.apiserver.store import Store
from burster.lab.caa.config import CaaConfig
from burster.lab.caa.peerpod_ctrl import PeerPodController
from burster.lab.caa.webhook import PeerPodsWebhook
from burster.lab.cluster.nodes import make_runtime_class
from burster.lab.cluster.work import Ground
from burster.lab.elsewhere.adaptor import RUNTIME_CLASS, Deleting, ElsewhereOptions, SecondAdaptor
from burster.lab.elsewhere.cloud import SmallCloud


_ALREADY_THERE: Final = 409


class Elsewhere:
    """``adaptor`` is what the kubelets ask, ``cloud`` what tests look at."""

    def __init__(
        self, store: Store, ground: Ground, options: ElsewhereOptions, config: Callable[[], CaaConfig]
    ) -> None:
        """``config`` is the first adaptor's, which the second one's controller has no use for."""
        self._store: Final = store
        self.cloud: Final = SmallCloud(options.cloud, ground.now_ms)
        self.adaptor: Final = SecondAdaptor(ground, self.cloud, options)
        self._webhook: Final = PeerPodsWebhook(runtime_class=RUNTIME_CLASS)
        self._controller: Final = PeerPodController(
            store, ground.works, Deleting(self.cloud), config, provider=options.provider
        )

    def start(self) -> None:
        """Install what its chart would, and begin."""
        try:
            self._store.create("runtimeclasses.node.k8s.io", "", make_runtime_class(RUNTIME_CLASS))
        except ApiError as error:
            if error.status != _ALREADY_THERE:
                raise
        self._store.admission.append(self._webhook)
        self._controller.start()

    def stop(self) -> None:
        """Hear nothing any more."""
        self._controller.stop()
        self._store.admission.remove(self._webhook)
