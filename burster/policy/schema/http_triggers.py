"""Triggers whose number is read over HTTP: prometheus and metrics-api, with KEDA's metadata keys and modes of authentication.

Credentials are in a TriggerAuthentication, which is named and not read.
"""

from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, model_validator

from burster.policy.fields import DnsLabel, Matching, unique
from burster.policy.fields.amounts import Activation, Millis, Threshold, TrueOrFalse
from burster.policy.fields.texts import Headers, Pairs, Url
from burster.policy.refusals import Findings
from burster.policy.schema.trigger_base import AuthRefSpec, PolledTrigger, TriggerMetadata


_EXCLUSIVE_MODES: Final = ("bearer", "basic", "oauth")


def _modes(value: str) -> str:
    modes = [mode.strip() for mode in value.split(",")]
    known = ("apiKey", "basic", "bearer", "custom", "oauth", "tls")
    for mode in modes:
        if mode not in known:
            raise ValueError(
                f"{mode!r} is no mode of authentication: use one or more of {', '.join(known)}, with commas between"
            )
    unique(tuple(modes))
    exclusive = [mode for mode in modes if mode in _EXCLUSIVE_MODES]
    if len(exclusive) > 1:
        raise ValueError(f"{' and '.join(exclusive)} exclude each other: keep one of them")
    return ",".join(modes)


AuthModes = Annotated[str, Field(max_length=60), AfterValidator(_modes)]


class _HttpMetadata(TriggerMetadata):
    """Settings of what is read over HTTP."""

    auth_modes: AuthModes | None = Field(
        default=None,
        description="How to authenticate, with commas between: apiKey, basic, bearer, custom, oauth, tls. bearer, basic and oauth exclude"
        " each other.",
    )
    auth_mode: AuthModes | None = Field(default=None, description="KEDA's older name of authModes.")
    unsafe_ssl: TrueOrFalse = Field(default=False, description="Whether a certificate that can't be verified will do.")
    timeout: Millis = Field(default=3_000, description="How long an answer may take: milliseconds, or a duration.")

    @model_validator(mode="after")
    def _one_name(self) -> "_HttpMetadata":
        wrong = Findings()
        if self.auth_modes is not None and self.auth_mode is not None:
            wrong.at("authMode", message="is the older name of authModes, which is given too: remove it")
        wrong.raise_any()
        return self

    @property
    def modes(self) -> str:
        """The modes of authentication, by whichever name they were given."""
        return self.auth_modes or self.auth_mode or ""


class _HttpTrigger(PolledTrigger):
    """What triggers have that are read over HTTP."""

    authentication_ref: AuthRefSpec | None = Field(default=None, description="Where the credentials are.")

    def _check_access(self, metadata: _HttpMetadata) -> None:
        wrong = Findings()
        if metadata.modes and self.authentication_ref is None:
            name = "authModes" if metadata.auth_modes else "authMode"
            wrong.at(
                "metadata", name, message="needs credentials: name their TriggerAuthentication by authenticationRef"
            )
        wrong.raise_any()


class PrometheusMetadata(_HttpMetadata):
    """The settings of a prometheus trigger: KEDA's."""

    server_address: Url = Field(description="The server; the target's allowedMetricEndpoints must list it.")
    query: Annotated[str, Field(min_length=1, max_length=8_192)] = Field(description="PromQL that yields one number.")
    threshold: Threshold = Field(description="The value per replica.")
    activation_threshold: Activation = Field(
        default="0", description="The trigger is active where the value is above this."
    )
    namespace: DnsLabel | None = Field(default=None, description="Sent as namespace, for servers with many tenants.")
    custom_headers: Headers | None = Field(
        default=None, description="Headers to send: name=value, with commas between."
    )
    query_parameters: Pairs | None = Field(
        default=None, description="Parameters to send: name=value, with commas between."
    )
    ignore_null_values: TrueOrFalse = Field(default=True, description="Whether no result is 0; else it is an error.")
    aws_region: (
        Annotated[str, Matching(r"[a-z]{2}(-[a-z]+)+-[0-9]", 30, "an AWS region, for example eu-west-1")] | None
    ) = Field(default=None, description="The region of an Amazon Managed Prometheus.")
    identity_owner: Literal["pod", "operator"] | None = Field(
        default=None, description="KEDA's identityOwner, for Amazon Managed Prometheus."
    )
    metric_name: Annotated[str, Field(max_length=256)] | None = Field(
        default=None, description="Taken and not used, as by KEDA: a name it once gave the metric."
    )


class PrometheusSpec(_HttpTrigger):
    """One number by a query to a Prometheus or a Thanos."""

    type: Literal["prometheus"] = Field(description="Which trigger.")
    metadata: PrometheusMetadata = Field(description="The trigger's settings.")

    @model_validator(mode="after")
    def _access(self) -> "PrometheusSpec":
        self._check_access(self.metadata)
        return self


class MetricsApiMetadata(_HttpMetadata):
    """The settings of a metrics-api trigger: KEDA's."""

    url: Url = Field(description="What to read; the target's allowedMetricEndpoints must list its server.")
    value_location: Annotated[str, Field(min_length=1, max_length=1_024)] = Field(
        description="Where in the answer the number is: a GJSON path, a path, or a metric with labels."
    )
    target_value: Threshold = Field(description="The value per replica.")
    activation_target_value: Activation = Field(
        default="0", description="The trigger is active where the value is above this."
    )
    format: Literal["json", "prometheus", "xml", "yaml"] = Field(
        default="json", description="What the answer is written in."
    )
    method: Literal["header", "query"] = Field(default="header", description="Where an API key goes.")
    key_param_name: Annotated[str, Field(min_length=1, max_length=128)] | None = Field(
        default=None, description="The name under which an API key is sent."
    )
    aggregate_from_kube_service_endpoints: TrueOrFalse = Field(
        default=False, description="Whether every endpoint of the Service in the url is read."
    )
    aggregation_type: Literal["average", "sum", "max", "min"] = Field(
        default="average", description="What is made of the endpoints' numbers."
    )


class MetricsApiSpec(_HttpTrigger):
    """One number out of an HTTP answer."""

    type: Literal["metrics-api"] = Field(description="Which trigger.")
    metadata: MetricsApiMetadata = Field(description="The trigger's settings.")

    @model_validator(mode="after")
    def _access(self) -> "MetricsApiSpec":
        self._check_access(self.metadata)
        return self
