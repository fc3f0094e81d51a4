"""What cloud-api-adaptor remembers of a sandbox. Called by ``adaptor``."""

import msgspec

from burster.lab.cluster.objects import Json


class Sandbox(msgspec.Struct, kw_only=True):
    """What CAA remembers of a sandbox, and forgets when it restarts."""

    id: str
    pod: Json
    node: str
    vm: str = ""
    instance_id: str = ""
    record: str = ""
    starting: bool = True
