"""``python -m tools.reference``: write every page that is made from the code anew."""

import sys

from burster.policy.reference import reference as policy_page
from tools.reference.pages import pages
from tools.reference.shown import ROOT, shown_pages


def main() -> None:
    """Write them and say which ones changed."""
    made = {ROOT / name: text for name, text in pages().items()}
    made[ROOT / "docs" / "reference" / "policy.md"] = policy_page()
    for path, text in {**made, **shown_pages()}.items():
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, encoding="utf-8")
            sys.stdout.write(f"{path.relative_to(ROOT)}\n")


if __name__ == "__main__":
    main()
