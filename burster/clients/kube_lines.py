"""A stream of bytes to lines: what a watch answers with. Called by burster.clients.kube; it never looks into a line."""

from typing import Final

from burster.model.errors import RemoteError


#: etcd refuses objects of more than 1.5 MiB; ten times that is no object but a broken or hostile server
LINE_BYTES_MAX: Final = 16 * 1024 * 1024


class LineSplitter:
    """Cuts chunks at line feeds and keeps what is left over; linear also where one line comes in many chunks."""

    def __init__(self, line_bytes_max: int = LINE_BYTES_MAX) -> None:
        self._max = line_bytes_max
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the lines that this chunk completes, without line feeds and without empty ones. Raises RemoteError."""
        head, *rest = chunk.split(b"\n")
        if not rest:
            self._keep(head)
            return []
        self._check(self._size + len(head))
        lines = [b"".join((*self._parts, head)), *rest[:-1]]
        self._parts, self._size = [], 0
        self._keep(rest[-1])
        return [line for line in lines if line and not line.isspace()]

    def rest(self) -> bytes:
        """Return what came after the last line feed."""
        return b"".join(self._parts)

    def _keep(self, part: bytes) -> None:
        self._check(self._size + len(part))
        if part:
            self._parts.append(part)
            self._size += len(part)

    def _check(self, size: int) -> None:
        if size > self._max:
            raise RemoteError("Protocol", f"the API server sent a line of more than {self._max} bytes")
