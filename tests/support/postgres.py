"""A real PostgreSQL of a test's own: in a folder of its own, on a Unix socket only, as a user without rights."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg


UNPRIVILEGED = "nobody"
MISSING = (
    "the ledger was not tried on PostgreSQL, which was not found: install the Debian package postgresql "
    "(its service need not run) and run `make test` again"
)


def find_server() -> Path | None:
    """Return the folder of PostgreSQL's programs, the newest there is."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    named = shutil.which("postgres")
    return Path(named).resolve().parent if named else None


class Postgres:
    """One server; start, stop, kill and pause it."""

    def __init__(self, programs: Path) -> None:
        self._programs = programs
        self.folder = Path(tempfile.mkdtemp(prefix="burster-postgres-"))
        self._data = self.folder / "data"
        # PostgreSQL refuses to run as root
        self._as: dict[str, object] = {}
        if os.geteuid() == 0:
            user = pwd.getpwnam(UNPRIVILEGED)
            os.chown(self.folder, user.pw_uid, user.pw_gid)
            self._as = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        self._process: subprocess.Popen[bytes] | None = None
        self._run("initdb", "-D", self._data, "-U", "burster", "--auth=trust", "-E", "UTF8", "--locale=C.UTF-8", "-N")
        self.start()

    @property
    def url(self) -> str:
        return f"postgresql://burster@/postgres?host={self.folder}"

    def _run(self, program: str, *arguments: object) -> None:
        subprocess.run(
            [self._programs / program, *map(str, arguments)],
            check=True,
            capture_output=True,
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
            timeout=60,
            **self._as,
        )

    def start(self) -> None:
        """Have it run and answer."""
        settings = {"listen_addresses": "", "unix_socket_directories": self.folder, "fsync": "off"}
        words = [f"-c{name}={value}" for name, value in settings.items()]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", self._data, *words],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
                **self._as,
            )
        until = time.monotonic() + 60
        while True:
            try:
                psycopg.connect(self.url, connect_timeout=3).close()
            except psycopg.OperationalError:
                assert time.monotonic() < until, (self.folder / "log").read_text()
                assert self._process.poll() is None, (self.folder / "log").read_text()
                time.sleep(0.05)
            else:
                return

    def stop(self) -> None:
        """Have it end as on a restart: connections are broken."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """Have it crash."""
        self._end(signal.SIGQUIT)

    def _end(self, number: int) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(30)
            self._process = None

    def pause(self, *, goes_on: bool = False) -> None:
        """Freeze every process of it (or let them go on): it takes connections and answers nothing."""
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        for pid in (self._process.pid, *map(int, children)):
            os.kill(pid, signal.SIGCONT if goes_on else signal.SIGSTOP)

    def remove(self) -> None:
        """Leave nothing."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
