"""A real Kubernetes control plane on loopback: etcd, kube-apiserver, controllers and scheduler as child processes.

`tools/control-plane` says where the binaries are. A test that wants a whole plane of its own takes `ControlPlane`; tests that only talk to
an API server share one for the whole run, over all workers (`tests/support/shared_plane.py`). There is no node on a plane but those that a
test makes, and no kubelet but the lab's.
"""

import base64
import functools
import json
import re
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from tests.support.certificates import Authority, signing_key


TOOL = Path(__file__).parents[2] / "tools/control-plane"
ADMIN = "admin"
#: Ten seconds where the machine is free; a busy one has been seen to need a minute.
READY_S = 100
STOP_S = 20
#: Who may ask, by token: the token's own name, and its owner's name and groups.
USERS = {
    ADMIN: ("admin", ("system:masters",)),
    "controllers": ("system:kube-controller-manager", ()),
    "scheduler": ("system:kube-scheduler", ()),
    # the controller, with the rights of deploy/rbac.yaml once these are applied, and no others
    "burster": ("system:serviceaccount:burster-system:burster", ("system:serviceaccounts",)),
}
#: Whoever started a plane may be killed: nothing is left behind then.
_DIES_WITH_PARENT = ("setpriv", "--pdeathsig", "KILL")


class NoControlPlaneError(Exception):
    """There are no binaries; the text is one line that says how to get them."""


@functools.cache
def find_binaries() -> Path:
    """Return the folder of the binaries. Raises NoControlPlaneError."""
    found = subprocess.run([TOOL, "--where"], capture_output=True, text=True, check=False)
    if found.returncode != 0:
        why = found.stderr.strip() or "there is no kube-apiserver; `make control-plane` builds one (once, some minutes)"
        raise NoControlPlaneError(why)
    return Path(found.stdout.strip())


def find_whole_plane() -> Path:
    """Return the folder of the binaries where controllers and a scheduler are among them. Raises NoControlPlaneError."""
    binaries = find_binaries()
    for name in ("kube-controller-manager", "kube-scheduler"):
        if not (binaries / name).exists():
            raise NoControlPlaneError(f"there is no {name} in {binaries}: put it there for the tests that need it")
    return binaries


@functools.cache
def version_of(binaries: Path) -> tuple[int, int]:
    """Return the Kubernetes of some binaries, without starting one."""
    told = subprocess.run([binaries / "kube-apiserver", "--version"], capture_output=True, text=True, check=True)
    return read_version(told.stdout)


def read_version(text: str) -> tuple[int, int]:
    found = re.search(r"v(\d+)\.(\d+)", text)
    assert found is not None, text
    return int(found[1]), int(found[2])


def require_since(binaries: Path, since: tuple[int, int]) -> None:
    """Raise NoControlPlaneError where the binaries are of an older Kubernetes than a test is about."""
    version = version_of(binaries)
    if version < since:
        raise NoControlPlaneError(too_old(version, since))


def too_old(version: tuple[int, int], since: tuple[int, int]) -> str:
    wanted, found = (".".join(map(str, each)) for each in (since, version))
    return f"they need Kubernetes {wanted}, and {found} is here; KUBEBUILDER_ASSETS names another"


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@dataclass
class Started:
    """One of the plane's processes, and how it was started."""

    arguments: list[str]
    process: "subprocess.Popen[bytes]"


@dataclass
class ControlPlane:
    """A context manager. Everything it writes, logs too, is under `folder`.

    It is to be entered in a thread that lives as long as it (the main one): its processes end with that thread at the latest.
    `controllers` are those of kube-controller-manager's `--controllers`; none: it isn't started at all. `people` may ask besides USERS.
    """

    folder: Path
    controllers: tuple[str, ...] = ("*",)
    scheduler: bool = True
    api_flags: tuple[str, ...] = ()
    people: Mapping[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict[str, tuple[str, tuple[str, ...]]])
    binaries: Path = field(default_factory=find_binaries)

    def __post_init__(self) -> None:
        self.port = free_port()
        self._etcd_ports = (free_port(), free_port())
        self.url = f"https://127.0.0.1:{self.port}"
        self.kubeconfig = self.folder / "kubeconfig"
        self.authority = Authority()
        self._started: dict[str, Started] = {}

    # --- life ---

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._write_files()
        try:
            self._start_all()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        for name in reversed(list(self._started)):
            self.stop(name)

    def stop(self, name: str, *, by: int = signal.SIGTERM) -> None:
        """End one of its processes ("etcd", "kube-apiserver", …); SIGKILL follows where it does not end by itself."""
        started = self._started.get(name)
        if started is None or started.process.poll() is not None:
            return
        # the API server waits for open watches to end, a minute long: nobody here does
        started.process.send_signal(by)
        try:
            started.process.wait(timeout=STOP_S if name == "etcd" else 3)
        except subprocess.TimeoutExpired:
            started.process.kill()
            started.process.wait(timeout=STOP_S)

    def start(self, name: str) -> None:
        """Start one of its processes again, as it was started before."""
        self._run(name, self._started[name].arguments)

    def pause(self, name: str) -> None:
        self._started[name].process.send_signal(signal.SIGSTOP)

    def resume(self, name: str) -> None:
        self._started[name].process.send_signal(signal.SIGCONT)

    def version(self) -> tuple[int, int]:
        """Return Kubernetes' version: tests say by it where an older one differs."""
        return read_version(self.ask("GET", "/version")["gitVersion"])

    @property
    def validation(self) -> str:
        """What kubectl has to be told so that unknown fields are refused; an old server does not know of rules in CEL, and drops them."""
        return "--validate=strict" if self.version() >= (1, 25) else "--validate=false"

    # --- asking ---

    def ask(self, method: str, path: str, body: Any = None, *, content_type: str = "application/json") -> Any:
        """Make one request as the administrator, for setting a scene; refused: an AssertionError with the server's words."""
        connection = HTTPSConnection("127.0.0.1", self.port, timeout=10, context=self._context())
        try:
            headers = {"Authorization": f"Bearer {ADMIN}", "Content-Type": content_type}
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            text = response.read()
            assert response.status < 300, f"{method} {path}: {text.decode()}"
            return json.loads(text)
        finally:
            connection.close()

    def make(self, path: str, body: dict[str, Any]) -> Any:
        return self.ask("POST", path, body)

    @property
    def etcd(self) -> tuple[str, int]:
        """Where etcd answers."""
        return "127.0.0.1", self._etcd_ports[0]

    def logs(self, lines: int = 20) -> str:
        """Return the end of each log, for the message of a failure."""
        parts: list[str] = []
        for path in sorted(self.folder.glob("*.log")):
            end = path.read_text(errors="replace").splitlines()[-lines:]
            parts.append("\n".join([f"--- {path}", *end]))
        return "\n".join(parts)

    def write_kubeconfig(
        self,
        path: Path,
        token: str = ADMIN,
        *,
        server: str = "",
    ) -> Path:
        """Write a kubeconfig for a token's owner; by way of ``server`` where given."""
        user = {"token": token}
        name = "plane"
        cluster = {
            "server": server or self.url,
            "certificate-authority-data": base64.b64encode(self.authority.pem).decode(),
        }
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": cluster}],
            "users": [{"name": name, "user": user}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": "default"}}],
            "current-context": name,
        }
        path.write_text(yaml.safe_dump(config))
        path.chmod(0o600)
        return path

    # --- inside ---

    def _write_files(self) -> None:
        (self.folder / "ca.crt").write_bytes(self.authority.pem)
        certificate, key = self.authority.issue("kube-apiserver", hosts=("127.0.0.1", "localhost", "kubernetes"))
        (self.folder / "apiserver.crt").write_bytes(certificate)
        (self.folder / "apiserver.key").write_bytes(key)
        (self.folder / "service-accounts.key").write_bytes(signing_key())
        users = {**USERS, **self.people}
        rows = [f'{token},{name},{name},"{",".join(groups)}"' for token, (name, groups) in users.items()]
        (self.folder / "tokens.csv").write_text("\n".join(rows) + "\n")
        self.write_kubeconfig(self.kubeconfig)
        for token in users:
            self.write_kubeconfig(self.folder / f"{token}.kubeconfig", token)

    def _start_all(self) -> None:
        client, peer = (f"http://127.0.0.1:{port}" for port in self._etcd_ports)
        etcd = [
            *("--data-dir", str(self.folder / "etcd"), "--unsafe-no-fsync", "--logger", "zap"),
            *("--listen-client-urls", client, "--advertise-client-urls", client),
            *(
                "--listen-peer-urls",
                peer,
                "--initial-advertise-peer-urls",
                peer,
                "--initial-cluster",
                f"default={peer}",
            ),
        ]
        self._run("etcd", etcd)
        self._until("etcd answers", lambda: self._healthy(HTTPConnection(*self.etcd), "/health"))
        self._run("kube-apiserver", self._api_arguments(client))
        self.await_ready()
        version = self.version()
        # the plain port of their own, which is open unless it is closed, is gone since 1.24
        quiet = ["--secure-port=0", "--leader-elect=false", *(["--port=0"] if version < (1, 24) else [])]
        if self.controllers:
            self._run("kube-controller-manager", [*quiet, *self._controller_arguments()])
        if self.scheduler:
            self._run("kube-scheduler", [*quiet, f"--kubeconfig={self.folder / 'scheduler.kubeconfig'}"])
        if "*" in self.controllers:
            account = "/api/v1/namespaces/default/serviceaccounts/default"
            self._until("the controllers work", lambda: self._answers(account))

    def _api_arguments(self, etcd: str) -> list[str]:
        folder = self.folder
        return [
            f"--etcd-servers={etcd}",
            "--bind-address=127.0.0.1",
            f"--secure-port={self.port}",
            f"--tls-cert-file={folder / 'apiserver.crt'}",
            f"--tls-private-key-file={folder / 'apiserver.key'}",
            f"--client-ca-file={folder / 'ca.crt'}",
            f"--token-auth-file={folder / 'tokens.csv'}",
            "--authorization-mode=RBAC",
            # there is nobody to mount tokens, and a namespace takes pods at once
            "--disable-admission-plugins=ServiceAccount",
            "--service-cluster-ip-range=10.96.0.0/16",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={folder / 'service-accounts.key'}",
            f"--service-account-signing-key-file={folder / 'service-accounts.key'}",
            # nobody reaches it by a service, and loopback is no endpoint
            "--endpoint-reconciler-type=none",
            *self.api_flags,
        ]

    def _controller_arguments(self) -> list[str]:
        return [
            f"--kubeconfig={self.folder / 'controllers.kubeconfig'}",
            f"--controllers={','.join(self.controllers)}",
            # each controller as itself, so that admission sees who it is
            "--use-service-account-credentials=true",
            f"--service-account-private-key-file={self.folder / 'service-accounts.key'}",
            f"--root-ca-file={self.folder / 'ca.crt'}",
            "--kube-api-qps=200",
            "--kube-api-burst=400",
        ]

    def await_ready(self) -> None:
        """Return when the API server says that it is ready."""
        self._until("kube-apiserver is ready", lambda: self._answers("/readyz"))

    def _run(self, name: str, arguments: list[str]) -> None:
        binary = self.binaries / name
        if not binary.exists():
            raise NoControlPlaneError(f"there is no {name} in {self.binaries}: put it there for the tests that need it")
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [*_DIES_WITH_PARENT, binary, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._started[name] = Started(arguments, process)

    def _until(self, what: str, happens: Callable[[], bool]) -> None:
        deadline = time.monotonic() + READY_S
        while not happens():
            for name, started in self._started.items():
                if started.process.poll() is not None:
                    raise AssertionError(f"{name} ended with {started.process.returncode}\n{self.logs()}")
            assert time.monotonic() < deadline, f"after {READY_S} s: not yet {what}\n{self.logs()}"
            time.sleep(0.1)

    def _context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cadata=self.authority.pem.decode())

    def _answers(self, path: str) -> bool:
        return self._healthy(HTTPSConnection("127.0.0.1", self.port, timeout=5, context=self._context()), path)

    def _healthy(self, connection: HTTPConnection, path: str) -> bool:
        try:
            connection.request("GET", path, headers={"Authorization": f"Bearer {ADMIN}"})
            return connection.getresponse().status == 200
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()


def compact(etcd: tuple[str, int]) -> None:
    """Let etcd forget all history, as an API server has it do every five minutes."""
    everything = {"key": base64.b64encode(b"/").decode()}
    revision = _ask_etcd(etcd, "/v3/kv/range", everything)["header"]["revision"]
    _ask_etcd(etcd, "/v3/kv/compaction", {"revision": revision, "physical": True})


def _ask_etcd(etcd: tuple[str, int], path: str, body: dict[str, Any]) -> Any:
    connection = HTTPConnection(*etcd, timeout=10)
    try:
        connection.request("POST", path, json.dumps(body))
        response = connection.getresponse()
        text = response.read()
        assert response.status == 200, text
        return json.loads(text)
    finally:
        connection.close()
