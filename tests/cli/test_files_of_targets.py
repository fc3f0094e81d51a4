"""Commands that get targets from files: a file that is wrong is wrong usage, told by its line, and never looks like their answer "no"."""

import pytest


COMMANDS = [
    ("doctor", "-f"),
    ("offerings", "--offline", "-f"),
    ("sweep-cloud", "-f"),
    ("reaper", "--once", "--api-gone", "--targets"),
]
BEGINNING = "apiVersion: burster.dev/v1alpha1\nkind: BurstTarget\n"


@pytest.mark.parametrize("command", COMMANDS, ids=lambda words: words[0])
@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("metadata: {name: x}\nspec:\n  sizzes: [a]\n", ":5:3: spec.sizzes: unknown field"),
        ("metadata: {name: x\nspec:\n", ":4:5: this is not YAML"),
    ],
    ids=["a field that there is not", "no YAML"],
)
def test_what_is_wrong_in_a_file_is_told_by_its_line(burster, tmp_path, command, text, told):
    file = tmp_path / "targets.yaml"
    file.write_text(BEGINNING + text)
    code, out, err = burster(*command, file)
    assert (code, out) == (2, "")
    assert err.startswith(f"burster: {file}{told}")


@pytest.mark.parametrize(
    "command", [("doctor",), ("offerings",), ("sweep-cloud",), ("reaper", "--once")], ids=lambda words: words[0]
)
def test_without_a_kubeconfig_it_is_said_what_to_do(burster, command):
    code, out, err = burster(*command)
    assert (code, out) == (2, "")
    assert "there is no kubeconfig" in err
    assert "name one with --kubeconfig FILE" in err
