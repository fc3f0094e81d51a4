"""initdata: what is measured, and what is refused."""

import base64
import gzip
import hashlib

import pytest

from burster.lab.caa.initdata import (
    InitdataError,
    decode_initdata,
    digest,
    effective_initdata,
    encode_initdata,
    pcr8,
)


TOML = b'version = "0.1.0"\nalgorithm = "sha256"\n[data]\n"aa.toml" = "x"\n'


def test_the_digest_is_over_the_raw_bytes_so_a_blank_changes_it():
    assert digest(decode_initdata(encode_initdata(TOML))) == hashlib.sha256(TOML).digest()
    assert digest(TOML + b"\n") != digest(TOML)


def test_pcr_8_is_one_extension_of_an_empty_register_by_32_bytes():
    measured = digest(TOML)
    assert pcr8(measured) == hashlib.sha256(b"\0" * 32 + measured).hexdigest()
    long = digest(TOML.replace(b"sha256", b"sha512"))
    assert pcr8(long) == hashlib.sha256(b"\0" * 32 + long[:32]).hexdigest()


def test_a_pods_own_goes_before_the_global_one():
    assert effective_initdata("own", "global") == "own"
    assert effective_initdata("", "global") == "global"


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        pytest.param("%%%", "base64 decode", id="no base64"),
        pytest.param(base64.b64encode(b"plain").decode(), "unmarshalling", id="no gzip"),
        pytest.param(encode_initdata(b"= ="), "unmarshalling", id="no TOML"),
        pytest.param(encode_initdata(b"\xff\xfe"), "unmarshalling", id="no text"),
        pytest.param(encode_initdata(TOML.replace(b"0.1.0", b"9")), "version", id="another version"),
        pytest.param(encode_initdata(TOML.replace(b"sha256", b"md5")), "algorithm", id="another algorithm"),
        pytest.param(base64.b64encode(gzip.compress(TOML)[:20]).decode(), "unmarshalling", id="cut short"),
    ],
)
def test_what_is_no_initdata(annotation, text):
    with pytest.raises(InitdataError, match=text):
        decode_initdata(annotation)
