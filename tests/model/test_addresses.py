"""Which addresses are no metric source's: credentials of machines, this machine, and what a setting leaves out."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burster.model.addresses import LOOPBACK, address_of, networks_of, never_read, refusal


CREDENTIALS = "machines get their credentials there"


@pytest.mark.parametrize(
    "text",
    [
        "169.254.169.254",
        "169.254.0.1",
        "168.63.129.16",
        "100.100.100.200",
        "192.0.0.192",
        "fe80::1",
        "fd00:ec2::254",
        "fd20:ce::254",
        # the same in other clothes: mapped, 6to4, NAT64
        "::ffff:169.254.169.254",
        "2002:a9fe:a9fe::1",
        "64:ff9b::a9fe:a9fe",
    ],
)
@pytest.mark.parametrize("networks", ["", "0.0.0.0/0,::/0", "169.254.0.0/16,168.63.129.16/32,127.0.0.0/8"])
def test_where_machines_get_their_credentials_nothing_is_read_whatever_is_set(text, networks):
    assert refusal(ip_address(text), networks_of(networks)) == CREDENTIALS


@pytest.mark.parametrize("text", ["0.0.0.0", "0.1.2.3", "::", "224.0.0.1", "ff02::1", "255.255.255.255", "240.0.0.1"])
def test_what_is_no_hosts_is_not_read(text):
    assert never_read(ip_address(text)) == "it is no host's"


@pytest.mark.parametrize("text", ["127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1"])
def test_this_machine_is_read_only_where_it_is_meant(text):
    address = ip_address(text)
    assert refusal(address, ()) == "it is burster's own machine"
    assert refusal(address, networks_of("0.0.0.0/0,::/0")) == "it is burster's own machine"
    assert refusal(address, LOOPBACK) == ""


@pytest.mark.parametrize("text", ["10.96.0.7", "192.168.1.1", "8.8.8.8", "fd12::7", "2a00:1450::1"])
def test_any_other_is_read_where_nothing_is_set_and_only_what_is_set_otherwise(text):
    address = ip_address(text)
    assert refusal(address, ()) == ""
    assert refusal(address, networks_of(f"{text}/{address.max_prefixlen}")) == ""
    assert "BURSTER_METRICS__NETWORKS" in refusal(address, networks_of("10.97.0.0/16"))


@given(st.ip_addresses(v=4))
def test_an_address_is_judged_alike_in_every_writing(address):
    mapped = ip_address(f"::ffff:{address}")
    nat64 = ip_address(int(ip_address("64:ff9b::")) + int(address))
    assert never_read(address) == never_read(mapped) == never_read(nat64)
    assert refusal(address, LOOPBACK) == refusal(mapped, LOOPBACK)


@pytest.mark.parametrize("text", ["10.0.0.1/8", "everywhere", "10.0.0.0/33", "10.0.0.0/8;::1"])
def test_what_is_no_network(text):
    with pytest.raises(ValueError, match="is no network: write addresses with the length of their prefix"):
        networks_of(text)


def test_a_host_that_has_to_be_looked_up_is_no_address():
    assert address_of("thanos.monitoring.svc") is None
    assert address_of("[fe80::1%eth0]") == ip_address("fe80::1")
