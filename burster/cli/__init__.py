"""The command line; one command a file.

`main` is the console script: it runs the app and turns whatever happens into one sentence and an exit code. 0 done; 1 it ran and the
answer is no; 2 wrong usage or unreadable input; 130 Ctrl-C; 143 SIGTERM; 129 the terminal was closed; 141 whoever read the output went
away; 70 an error of burster's own. SIGTERM and a hang-up end a command exactly as Ctrl-C does, by the same road: everything is released,
nothing is left half written.
"""

import contextlib
import gc
import io
import os
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn


EXIT_NO = 1
EXIT_USAGE = 2
EXIT_BUG = 70
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141
#: what a shell says of a command that a signal ended: so much more than the signal's number (143 for SIGTERM, 129 for a hang-up)
_SIGNALLED = 128
EXIT_TERMINATED = _SIGNALLED + signal.SIGTERM
_ENDINGS = (signal.SIGTERM, signal.SIGHUP)
_AGAIN_S = 0.01
_NAME_MAX = 200
#: Python looks for garbage after every 700 new objects; what lives here lives long, and looking would cost a third of a storm of events.
GC_THRESHOLDS = (20_000, 20, 20)


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit. Called without arguments it is the program itself, and signals are its own."""
    if argv is not None:
        sys.exit(_exit_code(list(argv)))
    gc.set_threshold(*GC_THRESHOLDS)
    terminated: list[int] = []

    def terminate(number: int, _frame: object) -> None:
        terminated.append(number)
        signal.raise_signal(signal.SIGINT)

    try:
        sys.unraisablehook = _unraisable
        for stream in (sys.stdout, sys.stderr):
            # a terminal or file that knows no blocks or umlauts gets question marks, not an error
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")
        for number in _ENDINGS:
            # nohup has a hang-up ignored, and that is to stay so
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, terminate)
        code = _exit_code(sys.argv[1:])
    except KeyboardInterrupt:
        # between two commands of this function, or a second time while the first was answered
        code = EXIT_INTERRUPTED
    # what comes now is Python's own farewell: it has nothing to release, and would complain if it were interrupted
    for number in (signal.SIGINT, *_ENDINGS):
        signal.signal(number, signal.SIG_IGN)
    sys.exit(_SIGNALLED + terminated[0] if terminated and code == EXIT_INTERRUPTED else code)


def _unraisable(problem: "sys.UnraisableHookArgs") -> None:
    """Bring Ctrl-C again where Python had to swallow it: it came while a destructor ran, which can't be ended by an exception."""
    if not isinstance(problem.exc_value, KeyboardInterrupt):
        sys.__unraisablehook__(problem)
        return
    import threading

    threading.Timer(_AGAIN_S, os.kill, (os.getpid(), signal.SIGINT)).start()


def _exit_code(arguments: list[str]) -> int:
    try:
        code = run(arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        return _let_go_of_stdout()
    return code


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code. What it could not do is one sentence on standard error."""
    if list(arguments) in (["--version"], ["-V"]):
        # answered before anything is imported
        from burster import __version__

        sys.stdout.write(f"burster {__version__}\n")
        return 0
    try:
        return _invoke(arguments)
    except (KeyboardInterrupt, BrokenPipeError):
        raise
    except Exception as error:  # noqa: BLE001 -- the one place where everything else ends
        return _explain(error)


def _invoke(arguments: Sequence[str]) -> int:
    from burster.cli.app import build_app

    stdout = sys.stdout
    try:
        result = build_app(arguments)(args=list(arguments), prog_name="burster", standalone_mode=False)
    except SystemExit as stopped:
        # typer answers a broken pipe by exit 1 and a wrapper around standard output: that would look like "the answer is no"
        if sys.stdout is stdout:
            raise
        sys.stdout = stdout
        raise BrokenPipeError from stopped
    return result if isinstance(result, int) else 0


def _explain(error: Exception) -> int:
    from typer import Abort, TyperException

    from burster.model.errors import BursterError, InputError
    from burster.settings import debug_wanted

    if debug_wanted():
        import traceback

        traceback.print_exception(error)
    if isinstance(error, InputError):
        _say(str(error))
        return getattr(error, "exit_code", EXIT_USAGE)
    if isinstance(error, BursterError):
        _say(str(error))
        return EXIT_NO
    if isinstance(error, TyperException):
        return _explain_usage(error)
    if isinstance(error, Abort):
        return EXIT_INTERRUPTED
    if isinstance(error, OSError) and isinstance(error.filename, str):
        # whatever a reader has not put into better words: a file that can't be used is never a bug
        name = error.filename if len(error.filename) <= _NAME_MAX else f"{error.filename[:_NAME_MAX]}…"
        _say(f"{name} can't be used ({error.strerror}): check the name, its permissions and the disk")
        return EXIT_USAGE
    _say(f"an error of its own, {type(error).__name__}: {_one_line(error)} (BURSTER_DEBUG=1 shows where)")
    return EXIT_BUG


def _explain_usage(error: Exception) -> int:
    from typer import TyperException

    message = (error.format_message() if isinstance(error, TyperException) else str(error)).rstrip(". ")
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":
        sys.stderr.write(f"{message}\n" if message else "")
        return EXIT_USAGE
    command = context.command_path if context else "burster"
    stop = "" if message.endswith(("?", "!")) else "."
    _say(f"{message}{stop} See {command} --help.")
    return EXIT_USAGE


def _say(sentence: str) -> None:
    sys.stderr.write(f"burster: {sentence}\n")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or "no message"


def _let_go_of_stdout() -> int:
    """Point standard output nowhere, so that Python's own last flush does not complain about the pipe that is gone."""
    # where standard output is no file there is nothing left to flush into
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return EXIT_BROKEN_PIPE
