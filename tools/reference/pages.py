"""The pages that are made from the code alone."""

from tools.reference.checks import checks_page
from tools.reference.commands import commands_page
from tools.reference.language import lint_page
from tools.reference.measures import metrics_page
from tools.reference.reasons import reasons_page
from tools.reference.variables import settings_page


def pages() -> dict[str, str]:
    """Return each page's path in the project and its text."""
    return {
        "docs/reference/checks.md": checks_page(),
        "docs/reference/cli.md": commands_page(),
        "docs/reference/lint.md": lint_page(),
        "docs/reference/metrics.md": metrics_page(),
        "docs/reference/settings.md": settings_page(),
        "docs/reference/reasons.md": reasons_page(),
    }
