"""What triggers of every type have, and what none may have: credentials.

The types are in ``triggers`` and ``http_triggers``. KEDA's metadata is text; numbers and booleans are taken as well.
"""

from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field

from burster.policy.fields import DnsName, Matching
from burster.policy.schema.base import Strict


#: parameters that KEDA takes from authentication objects
CREDENTIALS: Final = (
    "ca", "cert", "key", "keyPassword", "username", "password", "bearerToken", "token", "apiKey", "customAuthHeader",
    "customAuthValue", "caCert", "tlsClientCert", "tlsClientKey", "clientID", "clientSecret", "oauthTokenURI", "scope", "endpointParams",
)  # fmt: skip
_CREDENTIAL: Final = (
    "is a credential: put it into a TriggerAuthentication, which authenticationRef names, and remove it here"
)
_FROM_ENV: Final = (
    "burster reads no container's environment: write the value itself, or put a credential into a TriggerAuthentication"
)

TriggerName = Annotated[
    str,
    Matching(r"[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9_])?", 63, "a trigger's name: letters, digits, '_', '-' and '.'"),
]
PodMetricType = Literal["AverageValue", "Value"]


class AuthRefSpec(Strict):
    """KEDA's object that holds the credentials."""

    name: DnsName = Field(description="The object's name; a TriggerAuthentication is in the policy's namespace.")
    kind: Literal["TriggerAuthentication", "ClusterTriggerAuthentication"] = Field(
        default="TriggerAuthentication", description="Its kind."
    )


class TriggerMetadata(Strict):
    """Base of the triggers' settings: says what to do about credentials and KEDA's other ways to pass them."""

    @classmethod
    def hint(cls, name: str) -> str:
        """Return what to do about a credential, and about what only KEDA can read."""
        if name in CREDENTIALS:
            return _CREDENTIAL
        return _FROM_ENV if name.endswith("FromEnv") else super().hint(name)


class AnyTrigger(Strict):
    """What triggers of every type have."""

    hints: ClassVar[dict[str, str]] = {
        "authenticationRef": "triggers of this type need no credentials: remove it",
        "useCachedMetrics": "triggers of this type are never cached, as in KEDA: remove it",
        "sourceRef": "only cpu and memory triggers measure a workload: remove it",
    }

    name: TriggerName | None = Field(
        default=None,
        description="What reasons, conditions and formulas call this trigger; its type, or s0-type by its place, where it is left out.",
    )


class PolledTrigger(AnyTrigger):
    """What triggers have whose value is asked for."""

    metric_type: PodMetricType = Field(
        default="AverageValue", description="AverageValue: the threshold is per replica. Value: it is for all together."
    )
    use_cached_metrics: bool = Field(
        default=False, description="Whether the number of replicas is made of the latest poll's value."
    )
