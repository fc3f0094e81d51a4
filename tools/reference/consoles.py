"""What the commands shown in a document really print: each is run where it is shown, and its output put below it.

A block of the language ``console`` whose first line is ``$ .venv/bin/burster policy ...`` or ``... offerings ...`` is made by running that
command in the project's root: everything after the line is what it prints, standard output and standard error as a terminal shows them.
Other blocks are left alone.
"""

import contextlib
import io
import re
import shlex
from pathlib import Path
from typing import Final

from burster.cli import run


ROOT: Final = Path(__file__).parents[2]
PROMPT: Final = "$ .venv/bin/burster "
_BLOCK: Final = re.compile(
    rf"^```console\n(?P<command>{re.escape(PROMPT)}(?:policy|offerings) [^\n]*)\n.*?^```$", re.MULTILINE | re.DOTALL
)


def run_consoles(page: str) -> str:
    """Return the page with every such command run anew."""
    return _BLOCK.sub(lambda block: f"```console\n{block['command']}\n{_printed(block['command'])}```", page)


def _printed(command: str) -> str:
    said = io.StringIO()
    words = shlex.split(command.removeprefix(PROMPT))
    with contextlib.chdir(ROOT), contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        run(words)
    # what fills a table's cells at the end of a line is nothing to read
    return "".join(f"{line.rstrip()}\n" for line in said.getvalue().splitlines())
