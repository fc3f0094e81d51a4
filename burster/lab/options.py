"""What `burster lab up` asks for, and where the stand-ins then are."""

import msgspec


class LabOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Which lab to serve. Time in it is the clock on the wall. Port 0 takes a free one."""

    seed: int = 7
    api_port: int = 0
    arm_port: int = 0
    metrics_port: int = 0
    nodes: int = 3
    policies: tuple[str, ...] = ()  #: files of policies and targets that are there from the start
    vm_seconds: float | None = (
        None  #: how long a VM takes to come; half of it to go. None: as in Azure, a minute or two
    )


class LabAddresses(msgspec.Struct, frozen=True, kw_only=True):
    """A lab that is up."""

    api_url: str
    arm_url: str
    prices_url: str = ""
    metrics_url: str = ""  #: kube-state-metrics' page at /metrics, and Prometheus' API over it
    kubeconfig: str  #: the YAML text
