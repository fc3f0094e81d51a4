"""A real Prometheus that wants a client's certificate and a password: the credentials of a TriggerAuthentication open it."""

import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from burster.clients.metric_errors import MetricError
from burster.sources.metrics import Number
from tests.support.certificates import Authority
from tests.support.metrics import a_query, a_reader, access, credentials
from tests.support.prometheus import real_binaries


pytestmark = pytest.mark.long
PASSWORD = "sesame-open-up"
#: of it, by bcrypt
HASH = "$2b$05$abcdefghijklmnopqrstuu9L2Nx19jNWFcLn0aTvuqvO/6pQzcMh."
WEB = """
tls_server_config:
  cert_file: server.pem
  key_file: server.key
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: clients.pem
basic_auth_users: {burster: HASH}
"""


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def url(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    binaries = real_binaries()
    if binaries is None:
        pytest.skip("no prometheus here: `tools/prometheus` fetches Debian's and tells what to set")
    folder = tmp_path_factory.mktemp("prometheus")
    certificate, key = authority.issue("prometheus", hosts=("127.0.0.1",))
    for name, content in (("server.pem", certificate), ("server.key", key), ("clients.pem", authority.pem)):
        (folder / name).write_bytes(content)
    (folder / "web.yml").write_text(WEB.replace("HASH", HASH))
    (folder / "prometheus.yml").write_text("global: {scrape_interval: 30s}\n")
    log = folder / "log"
    with log.open("wb") as to:
        process = subprocess.Popen(
            [
                *(Path(binaries) / "prometheus", "--config.file=prometheus.yml", "--web.config.file=web.yml"),
                *("--storage.tsdb.path=data", "--web.listen-address=127.0.0.1:0"),
            ],
            cwd=folder,
            stdout=to,
            stderr=to,
        )
    try:
        for _ in range(600):
            text = log.read_text()
            assert process.poll() is None, text
            found = re.search(r'msg="Listening on" address=(127\.0\.0\.1:\d+)', text)
            if found and "Server is ready" in text:
                yield f"https://{found[1]}"
                return
            time.sleep(0.05)
        raise AssertionError(f"Prometheus was not ready in 30 s:\n{log.read_text()}")
    finally:
        process.terminate()
        process.wait(timeout=30)


def shown(authority: Authority, **changes: str) -> dict[str, str]:
    certificate, key = (part.decode() for part in authority.issue("burster"))
    known = {"ca": authority.pem.decode(), "cert": certificate, "key": key, "username": "burster", "password": PASSWORD}
    return known | changes


async def test_certificate_and_password_open_it(url: str, authority: Authority) -> None:
    async with a_reader(credentials(**shown(authority))) as reader:
        trigger = a_query(url, "vector(3)", access=access("basic", "tls"))
        assert await reader.read("bank", trigger, 0.0) == Number(3_000)


@pytest.mark.parametrize(
    ("modes", "changes", "faults"),
    [
        (("basic", "tls"), {"password": "wrong-password"}, {"auth"}),
        (("tls",), {}, {"auth"}),
        (("basic",), {}, {"tls", "unreachable"}),
        (("basic", "tls"), {"ca": Authority().pem.decode()}, {"tls"}),
    ],
)
async def test_anything_less_does_not(url: str, authority: Authority, modes, changes, faults) -> None:
    async with a_reader(credentials(**shown(authority, **changes))) as reader:
        with pytest.raises(MetricError) as caught:
            await reader.read("bank", a_query(url, "vector(3)", access=access(*modes)), 0.0)
    assert caught.value.fault in faults
    assert PASSWORD not in str(caught.value)
