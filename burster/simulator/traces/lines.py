"""Reads text line by line within bounds, plain or gzip, and says where something is wrong.

Called by the trace readers. Never holds more than one line, and never a line longer than LINE_BYTES_MAX: a file of one 2 GB line is
refused after its first MiB.
"""

import gzip
import os
import zlib
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Final, cast

from burster.files import open_named
from burster.model.errors import InputError


LINE_BYTES_MAX: Final = 1 << 20
#: a file's lines with their numbers, as they come: a pipe can be read only once
Lines = Iterator[tuple[int, str]]
_GZIP_MAGIC: Final = b"\x1f\x8b"


def trouble(path: Path | str, problem: str, *, line: int = 0, column: str = "") -> InputError:
    """Return the error for a place in a file: file, line and column first, then what is wrong."""
    where = f"{path}:{line}" if line else f"{path}"
    return InputError(f"{where}: column {column}: {problem}" if column else f"{where}: {problem}")


@contextmanager
def readable(path: Path) -> Generator[None]:
    """Turn what the operating system and gzip raise about a file into one sentence."""
    try:
        yield
    except FileNotFoundError:
        raise trouble(
            path, "there is no such file; check the name, or make a trace with `burster trace generate`"
        ) from None
    except IsADirectoryError:
        raise trouble(path, "this is a directory; name one trace file in it") from None
    except PermissionError:
        raise trouble(path, "this file may not be read; check its permissions") from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise trouble(path, f"the gzip data is damaged or cut short ({error}); get the file again") from None
    except OSError as error:
        raise trouble(
            path, f"the file can't be read ({error.strerror or error}); check the disk and the name"
        ) from None
    except ValueError as error:
        # a name with a NUL byte in it never reaches the operating system
        if "null byte" not in str(error):
            raise
        raise trouble(repr(str(path)), "this is no file name; check what was given") from None


def read_lines(path: Path) -> Lines:
    """Yield the file's lines with their numbers from 1, without their line ends.

    Whether it is gzip is told by its content, not by its name. Raises InputError for anything that isn't lines of UTF-8 text.
    """
    with readable(path), ExitStack() as stack:
        raw = stack.enter_context(open_named(path))
        packed = raw.peek(2)[:2] == _GZIP_MAGIC
        stream = stack.enter_context(cast("IO[bytes]", gzip.GzipFile(fileobj=raw))) if packed else raw
        number = 0
        while True:
            line = stream.readline(LINE_BYTES_MAX + 1)
            if not line:
                return
            number += 1
            if len(line) > LINE_BYTES_MAX:
                problem = (
                    f"the line is longer than {LINE_BYTES_MAX} bytes; a trace has one short record a line, is this one?"
                )
                raise trouble(path, problem, line=number)
            yield number, _text(path, number, line)


def _text(path: Path, number: int, line: bytes) -> str:
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        problem = (
            f"byte {error.start + 1} of the line is no UTF-8 text (0x{line[error.start]:02x}); save the file as UTF-8"
        )
        raise trouble(path, problem, line=number) from None
    if number == 1:
        text = text.removeprefix("\ufeff")
    return text.rstrip("\r\n")


@contextmanager
def written_whole(path: Path) -> Generator[Path]:
    """Give a temporary name beside ``path`` to write to; it takes the real name only if all went well.

    Readers see the old file or the whole new one, and an interrupted command leaves nothing behind.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        try:
            yield temporary
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        hint = "choose a folder that exists and may be written to"
        raise trouble(path, f"the file can't be written ({error.strerror or error}); {hint}") from None
