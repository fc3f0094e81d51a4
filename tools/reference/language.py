"""What the guide to the policy language shows of the code: the names that a condition can use, and the rules of the lint."""

from typing import Final

from burster.policy import lint
from burster.policy.conditions.types import VARIABLES
from burster.policy.lint import POLICY_RULES
from tools.reference.tables import table


_LINT: Final = """\
# Lint rules

Made by `make reference` from `burster/policy/lint`; edit that, not this page.

`burster policy validate` refuses what is wrong and warns of what is legal and likely to be regretted. Each warning ends with the code of
its rule. `--lint error` makes warnings exit code 1, for CI; `--lint off` leaves them out.

Where somebody has thought about it, a rule is silenced: by the comment `# burster: allow CODE` on the line of the field (or in the
comments right above it), or for a whole object by the annotation `burster.dev/lint-allow: CODE, CODE`.
"""


def variables_table() -> str:
    """Return every name that ``when`` can use, with its type and its meaning."""
    rows = [(f"`{name}`", one.type, one.meaning) for name, one in VARIABLES.items()]
    return table(("name", "type", "meaning"), rows)


def lint_page() -> str:
    """Return the page of the lint's rules as Markdown."""
    of_policies = {rule.code for rule in POLICY_RULES}
    rows = [
        (f"`{code}`", "policy" if code in of_policies else "target" if code != lint.UNKNOWN_RULE else "both", about)
        for code, about in lint.rules().items()
    ]
    return f"{_LINT}\n{table(('rule', 'of a', 'what it warns of'), rows)}"
