"""What a machine boots from: the policy's own parts as they were written, burster's after them, all of it in 64 KiB and no secret in it."""

import base64
import gzip
import json
import shutil
import subprocess
import time
from email import message_from_string
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from burster.adaptors.guest_units import PROOF, Guest, guest_config
from burster.adaptors.user_data import MAX_ENCODED, MAX_TEXT, build_user_data, compose, read_user_data
from burster.adaptors.user_data_checks import find_secret
from burster.model.errors import RemoteError
from burster.model.tags import LEASE_END_TAG
from tests.support.fake_cluster import FakeCluster, FakeKube
from tests.support.machines import a_machine, the_target


GUEST = Guest(machine="burstvm-x", lease_end_ms=1_800_000_000_000, drain_ms=600_000, trustee_url="https://kbs:8080")
CONFIG = "#cloud-config\nruncmd:\n- [systemctl, enable, --now, scorer]\n"


def read(encoded: str) -> list[tuple[str, str]]:
    """Read user data as cloud-init does: base64, perhaps gzip, then MIME; give MIME type and text of each part."""
    raw = base64.b64decode(encoded)
    text = (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode()
    assert "mime-version:" in text[:4096].lower()
    parts: list[tuple[str, str]] = []
    for part in message_from_string(text).walk():
        if not part.is_multipart():
            payload = part.get_payload(decode=True)
            assert isinstance(payload, bytes)
            parts.append((part.get_content_type(), payload.decode()))
    return parts


def built(text: str, **changes: Any) -> list[tuple[str, str]]:
    return read(build_user_data(text, a_machine(**changes), the_target(), lease_end_ms=1_800_000_000_000))


def refusal(text: str) -> RemoteError:
    with pytest.raises(RemoteError) as refused:
        built(text)
    return refused.value


def own(parts: list[tuple[str, str]]) -> dict[str, Any]:
    kind, text = parts[-1]
    assert kind == "text/cloud-config"
    assert text.startswith("#cloud-config\n")
    return yaml.safe_load(text)


def written(config: dict[str, Any]) -> dict[str, str]:
    return {file["path"]: file["content"] for file in config["write_files"]}


def test_the_policys_part_stays_as_it_was_written_and_bursters_comes_last() -> None:
    parts = built(CONFIG)
    assert parts[0] == ("text/cloud-config", CONFIG)
    assert len(parts) == 2
    assert own(parts)["merge_how"] == "list(prepend)+dict(no_replace,recurse_list)+str()"


def test_a_machine_without_user_data_still_has_bursters() -> None:
    (part,) = built("")
    assert "burster-lease.timer" in part[1]


def test_the_workload_waits_for_the_proof() -> None:
    files = written(own(built(CONFIG)))
    units = "/etc/systemd/system/"
    assert "Requires=burster-attest.service" in files[units + "burster-attested.target"]
    assert "Requires=burster-attested.target" in files[units + "burster-workload.target"]
    attest = files["/usr/local/libexec/burster/attest"]
    assert f'trustee-attester --url "$BURSTER_TRUSTEE_URL" get-resource --path {PROOF}' in attest
    assert 'BURSTER_TRUSTEE_URL="https://kbs.bank.example:8080"' in files["/etc/burster/machine.env"]
    service = files[units + "burster-attest.service"]
    assert "Type=oneshot" in service
    assert "Before=burster-attested.target" in service


def test_without_a_trustee_nothing_pretends_to_be_proven() -> None:
    files = written(guest_config(Guest(machine="m", lease_end_ms=1, drain_ms=0)))
    assert not [path for path in files if "attest.service" in path or path.endswith("/attest")]
    assert "Requires" not in files["/etc/systemd/system/burster-attested.target"]


def test_only_a_spot_machine_listens_for_its_eviction() -> None:
    assert not [path for path in written(own(built(CONFIG))) if "spot" in path]
    config = own(built(CONFIG, spot=True))
    assert "/usr/local/libexec/burster/spot.py" in written(config)
    assert ["systemctl", "enable", "--now", "burster-lease.timer", "burster-spot.service"] in config["runcmd"]


def test_every_unit_is_one_that_systemd_can_read(tmp_path: Path) -> None:
    guest = Guest(machine="m", lease_end_ms=1, drain_ms=0, trustee_url="https://kbs:8080", spot=True)
    files = written(guest_config(guest))
    for path, text in files.items():
        if path.startswith("/etc/systemd"):
            sections = [line for line in text.splitlines() if line.startswith("[")]
            assert sections[0] == "[Unit]"
            assert all("=" in line or line.startswith("[") or not line for line in text.splitlines()), path
            (tmp_path / Path(path).name).write_text(text)
    analyze = shutil.which("systemd-analyze")
    if analyze is not None:
        names = [str(path) for path in tmp_path.iterdir() if path.suffix == ".target"]
        found = subprocess.run(
            [analyze, "verify", "--man=no", *names], capture_output=True, text=True, check=False, timeout=20
        )
        assert "Unknown" not in found.stderr, found.stderr


def test_cloud_init_itself_finds_nothing_wrong(tmp_path: Path) -> None:
    tool = shutil.which("cloud-init")
    if tool is None:
        pytest.skip("cloud-init is not installed")
    (tmp_path / "own.yaml").write_text("#cloud-config\n" + json.dumps(guest_config(GUEST)))
    done = subprocess.run(
        [tool, "schema", "--config-file", str(tmp_path / "own.yaml")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_multi_part_message_keeps_its_parts_and_how_often_they_run() -> None:
    text = (
        'Content-Type: multipart/mixed; boundary="b"\nMIME-Version: 1.0\n\n--b\nContent-Type: text/cloud-config\n\n'
        "#cloud-config\npackages: [jq]\n--b\nContent-Type: text/x-shellscript-per-boot\n\n#!/bin/sh\ntrue\n--b--\n"
    )
    parts = built(text)
    assert [kind for kind, _ in parts] == ["text/cloud-config", "text/x-shellscript-per-boot", "text/cloud-config"]
    assert parts[1][1] == "#!/bin/sh\ntrue"


_TEXT = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\0"), max_size=400)


@given(_TEXT)
def test_whatever_a_script_says_comes_out_as_it_went_in(text: str) -> None:
    script = f"#!/bin/sh\n# {text}"
    try:
        message = compose(script, GUEST)
    except ValueError:
        return  # it looked like a secret
    assert read(base64.b64encode(message.encode()).decode())[0] == ("text/x-shellscript", script)


def test_large_user_data_is_packed_and_what_is_still_too_large_told_in_numbers() -> None:
    large = CONFIG + "# a long comment\n" * 4_000
    encoded = build_user_data(large, a_machine(), the_target(), lease_end_ms=1)
    assert len(encoded) <= MAX_ENCODED
    assert read(encoded)[0][1] == large
    noise = "\n".join(f"# {number * 2_654_435_761 % 2**64:x}{number * 40_503 % 2**32:x}" for number in range(9_000))
    error = refusal(CONFIG + noise)
    assert (error.kind, error.code) == ("Invalid", "UserDataTooLarge")
    assert f"a machine takes {MAX_ENCODED}" in error.message
    assert "bank/scorer, key user-data" in error.message


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("hello", "begins neither with"),
        ("#include\nhttps://elsewhere.example/x\n", "begins neither with"),
        ("#cloud-config\n- a\n", "must be a mapping"),
        ("#cloud-config\na: [\n", "is no YAML"),
        ("#cloud-config\nwrite_files: [{path: /x, encoding: b64, content: '%%%'}]\n", "not encoded as it says"),
        ("Content-Type: multipart/mixed\n\nnothing", "is none"),
        ("#!/bin/sh\n\0", "zero byte"),
        ("#cloud-config\n" + "a: " + "[" * 60 + "]" * 60, "nested"),
    ],
)
def test_what_cloud_init_could_not_use_is_refused(text: str, why: str) -> None:
    error = refusal(text)
    assert error.code == "UserDataInvalid"
    assert why in error.message


SECRETS = {
    "pem": "-----BEGIN RSA PRIVATE KEY-----",
    "ssh": "-----BEGIN OPENSSH PRIVATE KEY-----",
    "jwt": "curl -H 'X: eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N'",
    "storage": "AccountKey=" + "Qk9HVVM" * 9 + "==",
    "password": "password: hunter2hunter2",
    "hash": "passwd: $6$rounds=4096$abcdefgh$ijklmnop",
    "token": "export API_TOKEN=abcdef0123456789",
    "aws": "AKIAIOSFODNN7EXAMPLE",
    "github": "ghp_" + "a" * 36,
    "address": "postgres://bob:s3cret9@db/scores",
}


@pytest.mark.parametrize("line", SECRETS.values(), ids=SECRETS)
def test_what_looks_like_a_secret_is_refused_without_being_told(line: str) -> None:
    text = f"#!/bin/sh\ntrue\n{line}\n"
    error = refusal(text)
    assert error.code == "UserDataInvalid"
    assert "in line 3" in error.message
    assert line not in error.message


def test_a_secret_in_a_packed_file_is_found_too() -> None:
    packed = base64.b64encode(gzip.compress(SECRETS["pem"].encode())).decode()
    text = f"#cloud-config\nwrite_files:\n- path: /etc/key\n  encoding: gz+b64\n  content: {packed}\n"
    assert "private key" in refusal(text).message


@pytest.mark.parametrize(
    "line",
    [
        "token_file: /run/secrets/token",
        "secret: kbs:///default/db/password",
        "password_from: sealed.abc.def.ghi",
        'API_TOKEN="$(cat /run/token)"',
        "PermitRootLogin: prohibit-password",
        "ssh_pwauth: false",
        "lock_passwd: true",
        "https://user@example.org/path:8080",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKEYKEYKEY someone",
        "-----BEGIN CERTIFICATE-----",
    ],
)
def test_what_only_says_where_a_secret_is_may_go(line: str) -> None:
    assert find_secret(line) == ""


@pytest.mark.parametrize(
    "piece", ["a-", "a.", "eyJ-", "eyJ.", "a://b:", "secret ", "token-", "$1$", "AKIA", "-----BEGIN "]
)
def test_no_line_is_long_enough_to_hold_everybody_up(piece: str) -> None:
    line = piece * (MAX_TEXT // len(piece))
    began_s = time.process_time()
    find_secret(line)
    assert time.process_time() - began_s < 5, "it takes as long as the line is, and not its square"


def test_what_is_longer_than_anybody_may_look_into_is_refused_unread() -> None:
    error = refusal(CONFIG + "# a long comment\n" * 100_000)
    assert error.code == "UserDataTooLarge"
    assert f"no more than {MAX_TEXT} are taken" in error.message


def test_packed_files_that_are_more_than_can_be_looked_into_are_refused() -> None:
    packed = base64.b64encode(gzip.compress(b" " * 700_000)).decode()
    file = f"- path: /x\n  encoding: gz+b64\n  content: {packed}\n"
    assert "when unpacked" in refusal("#cloud-config\nwrite_files:\n" + file * 2).message
    hidden = base64.b64encode(gzip.compress(b" " * (1 << 20) + b"\n" + SECRETS["pem"].encode())).decode()
    text = f"#cloud-config\nwrite_files:\n- path: /x\n  encoding: gz+b64\n  content: {hidden}\n"
    assert "when unpacked" in refusal(text).message, "nothing goes that was not seen"


def test_a_few_lines_that_would_fill_any_memory_are_refused() -> None:
    levels = ["a0: &a0 {x: 1, y: 2}"]
    levels += [f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}" for n in range(1, 12)]
    assert "merge keys" in refusal("#cloud-config\n" + "\n".join(levels) + "\n").message
    assert "nested" in refusal("#cloud-config\na: " + "[" * 100_000).message


async def test_it_is_read_from_the_policys_namespace(cluster: FakeCluster, api: FakeKube) -> None:
    machine = a_machine()
    with pytest.raises(RemoteError) as missing:
        await read_user_data(api, machine)
    assert missing.value.code == "UserDataMissing"
    cluster.add("configmaps", {"metadata": {"namespace": "bank", "name": "scorer"}, "data": {"user-data": CONFIG}})
    assert await read_user_data(api, machine) == CONFIG
    with pytest.raises(RemoteError) as wrong_key:
        await read_user_data(api, a_machine(source={"key": "other"}))
    assert "has no user data under other" in wrong_key.value.message
    assert await read_user_data(api, a_machine(source={"config_map": "", "key": ""})) == ""


def test_the_tag_that_programs_in_the_machine_read_is_the_one_that_is_written() -> None:
    assert f'TAG = "{LEASE_END_TAG}"' in written(guest_config(GUEST))["/usr/local/libexec/burster/lease.py"]
