"""Which IP addresses are no metric source's, whatever name leads there.

A policy's author chooses an address that burster then asks, from burster's place in the network. What answers at these would give away
credentials of the machine, or believes whoever comes from there. Used by the policy language for addresses that are written out, and by the
transport for every address that a name turns out to have, at the moment of connecting.
"""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final


Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

#: Metadata and credentials of machines, outside of the link-local networks: Azure's wire server (Microsoft Learn, "What is IP address
#: 168.63.129.16"), Alibaba Cloud's (100.100.100.200), Oracle's (192.0.0.192), and over IPv6 Amazon's and Google's.
_METADATA: Final[tuple[Address, ...]] = tuple(
    ip_address(text) for text in ("168.63.129.16", "100.100.100.200", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254")
)
_NAT64: Final = IPv6Network("64:ff9b::/96")
_THIS_NETWORK: Final = IPv4Network("0.0.0.0/8")
#: this machine itself
LOOPBACK: Final[tuple[Network, ...]] = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))


def address_of(text: str) -> Address | None:
    """Return the address that a host is, where it is none that has to be looked up; brackets and zones may be around it."""
    try:
        return ip_address(text.strip("[]").partition("%")[0])
    except ValueError:
        return None


def never_read(address: Address) -> str:
    """Say why no metric is ever read at an address, in a few words; empty where one may be."""
    plain = _plain(address)
    if plain.is_unspecified or (isinstance(plain, IPv4Address) and plain in _THIS_NETWORK):
        return "it is no host's"
    if plain.is_link_local or plain in _METADATA:
        return "machines get their credentials there"
    if plain.is_multicast or (plain.is_reserved and not plain.is_loopback):
        return "it is no host's"
    return ""


def refusal(address: Address, networks: Sequence[Network]) -> str:
    """Say why an address may not be read, in a few words; empty where it may be.

    ``networks``: those that may be read; none: all, except for this machine itself. Its own addresses may be read only where a network
    is named that lies wholly within them: a wide one does not mean them.
    """
    if why := never_read(address):
        return why
    plain = _plain(address)
    if plain.is_loopback:
        meant = any(plain in each and any(_within(each, one) for one in LOOPBACK) for each in networks)
        return "" if meant else "it is burster's own machine"
    if networks and not any(plain in each for each in networks):
        return "BURSTER_METRICS__NETWORKS leaves it out"
    return ""


def networks_of(text: str) -> tuple[Network, ...]:
    """Return the networks of a text with commas between. Raises ValueError for one that is none."""
    found: list[Network] = []
    for part in (each.strip() for each in text.split(",") if each.strip()):
        try:
            found.append(ip_network(part))
        except ValueError:
            raise ValueError(
                f"{part!r} is no network: write addresses with the length of their prefix, for example 10.20.0.0/16"
            ) from None
    return tuple(found)


def _within(network: Network, other: Network) -> bool:
    return (
        network.version == other.version and network.prefixlen >= other.prefixlen and network.network_address in other
    )


def _plain(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 address stands for; any other as it is."""
    if isinstance(address, IPv4Address):
        return address
    inner = address.ipv4_mapped or address.sixtofour
    if inner is None and address in _NAT64:
        inner = IPv4Address(int(address) & 0xFFFF_FFFF)
    return inner or address
