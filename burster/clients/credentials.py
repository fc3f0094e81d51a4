"""What a metric source is shown: tokens, passwords, keys and certificates, kept out of everything that is printed.

Made by ``burster.sources.trigger_auth`` out of Secrets, used by ``burster.clients.metric_http`` alone. Its text shows no content, and
``scrub`` takes its secrets out of any text that may echo them.
"""

import hashlib
import os
import ssl
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from burster.clients.metric_errors import MetricError


#: KEDA's names of what a TriggerAuthentication may give, as far as burster uses them
PARAMETERS: Final = (
    "bearerToken", "token", "username", "password", "ca", "cert", "key", "customAuthHeader", "customAuthValue", "apiKey",
)  # fmt: skip
#: shorter text would take letters out of any sentence
_SCRUBBED_MIN: Final = 4
_PUBLIC: Final = frozenset({"ca", "cert", "customAuthHeader"})
_CONTEXTS_MAX: Final = 256


class Credentials:
    """Parameters by KEDA's names. Two of the same content are equal, so that connections and contexts are shared."""

    __slots__ = ("_values", "digest")

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values: Final = {name: value for name, value in sorted(values.items()) if value}
        text = "\0".join(f"{name}\0{value}" for name, value in self._values.items())
        self.digest: Final = hashlib.sha256(text.encode()).hexdigest()

    def __repr__(self) -> str:
        return f"Credentials({', '.join(self._values)})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Credentials) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def get(self, name: str) -> str:
        """Return a parameter without the line break that a Secret's file often ends in; empty where there is none."""
        return self._values.get(name, "").strip("\r\n")

    def need(self, name: str, mode: str) -> str:
        """Return a parameter that a mode of authentication needs. Raises MetricError where it is not there, or fits in no header."""
        value = self.get(name)
        if not value:
            raise MetricError("auth", f"authModes {mode} needs the parameter {name}, which the authentication lacks")
        if name not in {"ca", "cert", "key"} and any(character in value for character in "\r\n\0"):
            raise MetricError("auth", f"the parameter {name} has a line break in it, so that it fits in no header")
        return value

    def scrub(self, text: str) -> str:
        """Return a text in which no secret can be read, also where the other side has echoed it."""
        for name, value in self._values.items():
            for secret in {value, value.strip("\r\n")} if name not in _PUBLIC else ():
                if len(secret) >= _SCRUBBED_MIN:
                    text = text.replace(secret, "***")
        return text


NOBODY: Final = Credentials({})


class TlsContexts:
    """One TLS context for each content of ca, cert and key; they are dear to make, and connections are shared by them."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, bool], ssl.SSLContext] = {}

    def of(self, credentials: Credentials, *, mutual: bool, unsafe: bool) -> ssl.SSLContext:
        """Return the context to connect with.

        ``mutual``: show the client's certificate. ``unsafe``: any certificate will do, unless a CA is given (as in KEDA). A CA that is
        given is the only one that is trusted. Raises MetricError for what is no certificate or key.
        """
        ca = credentials.get("ca")
        material = "\0".join((ca, credentials.get("cert"), credentials.get("key"))) if mutual else ca
        key = (hashlib.sha256(material.encode()).hexdigest(), unsafe and not ca)
        known = self._made.get(key)
        if known is None:
            if len(self._made) >= _CONTEXTS_MAX:
                self._made.clear()
            known = self._made[key] = _context(credentials, ca, mutual=mutual, unsafe=unsafe and not ca)
        return known


def _context(credentials: Credentials, ca: str, *, mutual: bool, unsafe: bool) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cadata=ca or None)
    except (ssl.SSLError, ValueError):
        raise MetricError("tls", "the parameter ca holds no certificate in PEM") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if unsafe:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if mutual and (credentials.get("cert") or credentials.get("key")):
        pair = f"{credentials.need('key', 'tls')}\n{credentials.need('cert', 'tls')}\n"
        # OpenSSL takes a chain from a file only; this one is in memory, so that no key ever lies on a disk
        handle = os.memfd_create("pair", os.MFD_CLOEXEC)
        try:
            with open(handle, "wb", closefd=False) as file:
                file.write(pair.encode())
            # an encrypted key would be asked for on a terminal: there is no password, and no terminal
            context.load_cert_chain(f"/proc/self/fd/{handle}", password="")
        except (ssl.SSLError, ValueError, OSError):
            raise MetricError("tls", "the parameters cert and key are no pair of certificate and key in PEM") from None
        finally:
            with suppress(OSError):
                os.close(handle)
    return context
