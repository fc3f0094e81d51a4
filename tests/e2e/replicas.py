"""A controller process and what its probes say."""

import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from http.client import HTTPConnection

from tests.e2e.processes import until


AFTER_A_KILL_S = 20.0
AFTER_A_CLEAN_EXIT_S = 2.0


def a_free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@dataclass
class Replica:
    """One controller process and its probes."""

    process: "subprocess.Popen[str]"
    port: int

    def ask(self, path: str, **headers: str) -> tuple[int, str]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=2)
        try:
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            return response.status, response.read().decode()
        except OSError:
            return 0, ""
        finally:
            connection.close()

    @property
    def leads(self) -> bool:
        return self.ask("/readyz") == (200, "ok\n")

    @property
    def stands_by(self) -> bool:
        status, text = self.ask("/readyz")
        return status == 200 and text.startswith("ok, standing by: ") and "nobody yet" not in text

    def ends(self) -> str:
        self.process.send_signal(signal.SIGTERM)
        _, said = self.process.communicate(timeout=30)
        assert self.process.returncode == 0, said
        assert "Traceback" not in said
        return said


def followed(other: Replica, since: float, *, within_s: float) -> float:
    """Wait until another leads; return how long that took."""
    until("the other leads", lambda: other.leads, timeout_s=within_s + 15, poll_s=0.02)
    took_s = time.monotonic() - since
    assert took_s <= within_s, f"{took_s:.2f}s"
    return took_s


def followed_after_sigterm(leader: Replica, other: Replica) -> float:
    """Have a leader end; return how long after it was asked to the other led. It must have ended well."""
    asked = ended = time.monotonic()
    leader.process.send_signal(signal.SIGTERM)
    while not other.leads:
        if leader.process.poll() is None:
            ended = time.monotonic()
        assert time.monotonic() - ended <= AFTER_A_CLEAN_EXIT_S, "a clean exit is followed at once"
        assert time.monotonic() - asked <= AFTER_A_KILL_S
        time.sleep(0.02)
    took_s = time.monotonic() - asked
    _, said = leader.process.communicate(timeout=30)
    assert leader.process.returncode == 0, said
    return took_s
