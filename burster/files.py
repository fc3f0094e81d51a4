"""Opens files that people name, so that none of them can hold a command up for ever.

Called by whatever reads rules, scenarios, traces and ledgers. A pipe (a FIFO, or the shell's `<(…)`) is a fine file as long as somebody
writes to it; one that nobody writes to would be waited for until the end of days. It must never read more than it is asked for.
"""

import errno
import os
import select
import stat
from io import BufferedReader
from pathlib import Path
from typing import Final


#: how long a pipe may keep silent before its first byte
PIPE_PATIENCE_S: Final = 5.0


def open_named(path: Path, *, patience_s: float = PIPE_PATIENCE_S) -> BufferedReader:
    """Open a file for reading bytes. Raises OSError, also for a directory and for a pipe that nothing comes out of."""
    # without O_NONBLOCK, opening a FIFO waits for a writer
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            _await_first_byte(descriptor, patience_s)
        os.set_blocking(descriptor, True)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def _await_first_byte(descriptor: int, patience_s: float) -> None:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    if not poll.poll(patience_s * 1000):
        raise OSError(errno.ETIMEDOUT, f"it is a pipe, and nothing came out of it for {patience_s:g}s")
