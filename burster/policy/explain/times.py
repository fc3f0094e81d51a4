"""When a policy is in force, in sentences: windows with their next opening, blackouts, the condition, and what is waited for."""

from collections.abc import Iterator

from burster.model.policies import Policy
from burster.model.quantities import format_duration_ms, format_micro_usd
from burster.model.windows import Window
from burster.policy.explain.words import all_of, moment
from burster.policy.windows import in_force, is_open, next_change_ms


def time_sentences(policy: Policy, at_ms: int | None) -> Iterator[str]:
    """Yield when the policy is in force; ``at_ms`` is the time that openings are told from, None: none are told."""
    if policy.windows:
        yield f"It is in force {_either(policy.windows)} only."
    if policy.blackouts:
        yield f"It is not in force {_either(policy.blackouts)}, whatever its windows say."
    if at_ms is not None and (policy.windows or policy.blackouts):
        yield _now(policy, at_ms)
    if policy.when:
        yield f"It starts nothing unless {policy.when} holds; where that can't be told, it does not hold."
    yield from _wait(policy)


def _now(policy: Policy, at_ms: int) -> str:
    answer = in_force(policy.windows, policy.blackouts, at_ms)
    zone = (policy.windows or policy.blackouts)[0].timezone
    here = moment(at_ms, zone)
    state = "in force" if answer.open else "not in force"
    if answer.until_ms is None:
        return f"At {here} it is {state}, for good."
    return f"At {here} it is {state}, until {moment(answer.until_ms, zone)}."


def _either(windows: tuple[Window, ...]) -> str:
    return " or ".join(window_words(one) for one in windows)


def window_words(window: Window) -> str:
    """Return a window in words: its name, its times, its days."""
    parts: list[str] = []
    if window.start:
        parts.append(f"from {window.start!r} to {window.end!r} (cron)")
    if window.first_day and window.last_day:
        parts.append(f"from {window.first_day} to {window.last_day}")
    elif window.first_day:
        parts.append(f"from {window.first_day} on")
    elif window.last_day:
        parts.append(f"until the end of {window.last_day}")
    name = f"{window.name}: " if window.name else ""
    return f"({name}{', '.join(parts) or 'always'}, {window.timezone})"


def next_opening(window: Window, at_ms: int) -> int | None:
    """Return when a window that is closed opens; None for one that is open or never opens."""
    return None if is_open(window, at_ms) else next_change_ms(window, at_ms)


def _wait(policy: Policy) -> Iterator[str]:
    wait = policy.wait
    if wait.mode == "AtOnce":
        yield "It does not wait for room on-prem: a pod goes as soon as the scheduler has found no place for it."
    elif wait.mode == "BuyOrWait":
        runs = (
            "as long as those before it did"
            if wait.expected_run_ms is None
            else format_duration_ms(wait.expected_run_ms)
        )
        parts = [
            f"an hour of its waiting is worth {format_micro_usd(wait.value_micro_usd_per_hour)}",
            f"it is taken to run {runs}",
        ]
        yield (
            f"A pod waits for room on-prem as long as that is cheaper than renting ({all_of(parts)}), and for"
            f" {format_duration_ms(wait.max_wait_ms)} at most."
        )
