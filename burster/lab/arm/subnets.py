"""The subnets of the stand-in: which of their addresses are taken, and by what.

Called by the attachments, which take an address for every network interface, and by the server for what ARM tells of a
subnet. A subnet exists once it is named, unless the lab lists those there are. Its prefix is the smallest that holds
as many addresses as the lab gives it; what the prefix has over belongs to machines that are not the lab's, so that
everybody who counts the answer comes to the same number as the stand-in.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

from burster.lab.arm.config import ArmConfig
from burster.lab.arm.errors import ArmError, not_found


#: Azure keeps the first four addresses and the last one of a subnet for itself.
_KEPT_FIRST: Final = 4
_KEPT: Final = 5
_BITS: Final = 32


class Subnets:
    """Who has which address of which subnet."""

    def __init__(self, config: Callable[[], ArmConfig]) -> None:
        self._config = config
        #: subnet -> its number, in the order in which subnets were first used
        self._numbers: dict[str, int] = {}
        self._taken: dict[str, dict[int, str]] = {}
        self._lowest: dict[str, int] = {}

    def check_room(self, subnet: str) -> None:
        """Raise ArmError 400 where the subnet has no address left."""
        if len(self._taken.get(subnet.casefold(), ())) >= self._config().subnet_addresses:
            raise ArmError(
                400,
                "SubnetIsFull",
                f"Subnet {subnet} with address prefix {self.prefix(subnet)} does not have enough capacity for 1 IP addresses.",
            )

    def take(self, subnet: str, nic_id: str) -> int:
        """Keep the lowest free place for a network interface."""
        key = subnet.casefold()
        taken = self._taken.setdefault(key, {})
        slot = self._lowest.get(key, 0)
        while slot in taken:
            slot += 1
        self._lowest[key] = slot + 1
        taken[slot] = nic_id
        return slot

    def give_back(self, subnet: str, slot: int) -> None:
        """Free a place."""
        key = subnet.casefold()
        self._taken.get(key, {}).pop(slot, None)
        self._lowest[key] = min(slot, self._lowest.get(key, 0))

    def address(self, subnet: str, slot: int) -> str:
        """Return the private address of a place."""
        high, low = divmod(slot + _KEPT_FIRST, 256)
        return f"10.{self._number(subnet)}.{high}.{low}"

    def prefix(self, subnet: str) -> str:
        """Return the subnet's address range."""
        return f"10.{self._number(subnet)}.0.0/{_BITS - self._bits()}"

    def view(self, subnet: str) -> dict[str, Any]:
        """Return a subnet as ARM tells it, with everything that has an address in it; ArmError 404."""
        self._check_known(subnet)
        name = subnet.rsplit("/", 1)[1]
        return {
            "id": subnet,
            "name": name,
            "type": "Microsoft.Network/virtualNetworks/subnets",
            "etag": f'W/"{len(self._taken.get(subnet.casefold(), ()))}"',
            "properties": {
                "provisioningState": "Succeeded",
                "addressPrefix": self.prefix(subnet),
                "ipConfigurations": [{"id": each} for each in self._users(subnet)],
                "delegations": [],
                "privateEndpointNetworkPolicies": "Disabled",
                "privateLinkServiceNetworkPolicies": "Enabled",
            },
        }

    def usages(self, network: str) -> list[dict[str, Any]]:
        """Return how full the subnets of a virtual network are; ArmError 404 where the network isn't known."""
        wanted = f"{network}/subnets/".casefold()
        known = [each for each in (*self._config().subnets, *self._numbers) if each.casefold().startswith(wanted)]
        if not known and self._config().subnets:
            raise _no_network(network)
        return [
            {
                "id": subnet,
                "currentValue": sum(1 for _ in self._users(subnet)),
                "limit": 2 ** self._bits() - _KEPT,
                "name": {"localizedValue": "Subnet size and usage", "value": "SubnetSpace"},
                "unit": "Count",
            }
            for subnet in {each.casefold(): each for each in reversed(known)}.values()
        ]

    def _users(self, subnet: str) -> Iterator[str]:
        group = subnet.split("/providers/", 1)[0]
        for number in range(2 ** self._bits() - _KEPT - self._config().subnet_addresses):
            yield f"{group}/providers/Microsoft.Network/networkInterfaces/other-{number}/ipConfigurations/ipconfig1"
        for nic_id in self._taken.get(subnet.casefold(), {}).values():
            yield f"{nic_id}/ipConfigurations/ip-config"

    def _check_known(self, subnet: str) -> None:
        known = [each.casefold() for each in self._config().subnets]
        if not known or subnet.casefold() in known:
            return
        network = subnet.rsplit("/subnets/", 1)[0]
        if any(each.startswith(f"{network}/subnets/".casefold()) for each in known):
            raise ArmError(404, "NotFound", f"Resource {subnet} not found.")
        raise _no_network(network)

    def _number(self, subnet: str) -> int:
        return self._numbers.setdefault(subnet.casefold(), len(self._numbers))

    def _bits(self) -> int:
        return (self._config().subnet_addresses + _KEPT - 1).bit_length()


def _no_network(network: str) -> ArmError:
    parts = network.split("/")
    group = parts[4] if len(parts) > 4 else ""  # noqa: PLR2004 - /subscriptions/{s}/resourceGroups/{g}
    return not_found("Microsoft.Network/virtualNetworks", parts[-1], group)
