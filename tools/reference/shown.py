"""What the documents show of the code and of a run.

The life of a Burst as a picture, a rule, what was decided by it, the names that conditions can use, what commands print, what doctor says
of a sick lab. A shown part stands between ``<!-- NAME -->`` and ``<!-- /NAME -->``; what is between them is replaced, the rest of the
page is written by people.
"""

import contextlib
import io
import re
import tempfile
from pathlib import Path
from typing import Final

from burster.cli import run
from burster.cli.demo import pod_to_ask_about
from burster.cli.run_dir import LEDGER
from burster.engine.bursts.lifecycle import to_mermaid
from tools.reference.consoles import run_consoles
from tools.reference.doctor_shown import doctor_example
from tools.reference.language import variables_table


ROOT: Final = Path(__file__).parents[2]
#: the demo's own seed, so that a newcomer who runs `make demo` finds the very same decision
SEED: Final = 7
GUIDE: Final = ROOT / "docs" / "policies.md"
DOCTOR: Final = ROOT / "docs" / "doctor.md"
CASES: Final = ROOT / "docs" / "examples" / "web.cases.yaml"
RULES: Final = ROOT / "simulations" / "demo" / "policies.yaml"


def show(page: str, name: str, content: str) -> str:
    """Return the page with one shown part replaced. Raises LookupError where the page has no such place, or more than one."""
    whole = re.compile(rf"<!-- {name} -->\n.*?<!-- /{name} -->", re.DOTALL)
    if len(whole.findall(page)) != 1:
        raise LookupError(f"the page has no one place <!-- {name} --> ... <!-- /{name} -->")
    return whole.sub(lambda _: f"<!-- {name} -->\n{content}<!-- /{name} -->", page)


def life_of_a_burst() -> str:
    """Return the picture of a Burst's life, as its table has it."""
    return f"```mermaid\n{to_mermaid()}```\n"


def rule_of(policy: str) -> str:
    """Return one policy of the shipped demo as it is written there."""
    name = policy.rpartition("/")[2]
    found = [
        part for part in RULES.read_text("utf-8").split("---\n") if re.search(rf"^  name: {name}$", part, re.MULTILINE)
    ]
    if len(found) != 1:
        raise LookupError(f"{RULES} has no one policy {name}")
    return f"```yaml\n{found[0].strip()}\n```\n"


def decision(run_dir: Path) -> tuple[str, str]:
    """Return what the finished demo says about the pod it tells people to ask about, and the policy that answered for it."""
    pod = pod_to_ask_about(run_dir / LEDGER)
    said = _burster("why", pod, "--run", str(run_dir))
    answered = re.search(r"^\S+  Burst at \S+ by (\S+)$", said, re.MULTILINE)
    if answered is None:
        raise LookupError(f"burster why {pod} tells of no burst")
    command = f"$ .venv/bin/burster why {pod} --run DIR\n"
    return f"```console\n{command}{said.rstrip()}\n```\n", answered.group(1)


def play_demo(run_dir: Path) -> None:
    """Play the shipped demo with its seed."""
    _burster("demo", "--seed", str(SEED), "-o", "json", "--out", str(run_dir))


def shown_pages() -> dict[Path, str]:
    """Return the pages that show something, anew."""
    with tempfile.TemporaryDirectory(prefix="burster-reference-") as folder:
        run_dir = Path(folder) / "run"
        play_demo(run_dir)
        said, policy = decision(run_dir)
    readme, architecture = ROOT / "README.md", ROOT / "docs" / "architecture.md"
    return {
        readme: run_consoles(show(show(readme.read_text("utf-8"), "rule", rule_of(policy)), "decision", said)),
        architecture: show(architecture.read_text("utf-8"), "life", life_of_a_burst()),
        GUIDE: guide(GUIDE.read_text("utf-8")),
        DOCTOR: show(DOCTOR.read_text("utf-8"), "doctor", doctor_example()),
    }


def guide(page: str) -> str:
    """Return the guide to policies with what it shows of the code and of commands, anew."""
    cases = f"```yaml\n{CASES.read_text('utf-8').strip()}\n```\n"
    return run_consoles(show(show(page, "variables", variables_table()), "cases", cases))


def _burster(*arguments: str) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
        code = run(arguments)
    if code:
        raise RuntimeError(f"burster {' '.join(arguments)} ended with {code}")
    return out.getvalue()
