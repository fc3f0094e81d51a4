"""What must hold within one trigger, in CEL for API servers, whose schema has the fields of all types at once.

The models say the same in Python, each for its own type; a test holds the two to the same verdicts.
"""

from typing import Final


def _needs(kind: str, *names: str) -> tuple[str, str]:
    there = " && ".join(f"has(self.metadata.{name})" for name in names)
    return (
        f"self.type != '{kind}' || (has(self.metadata) && {there})",
        f"a {kind} trigger needs {', '.join(names)} in its metadata",
    )


#: of one trigger, for API servers, whose schema has the fields of all types at once
TRIGGER_RULES: Final = (
    ("self.type == 'pending-pods' || has(self.metadata)", "metadata is required"),
    _needs("prometheus", "serverAddress", "query"),
    _needs("cron", "start", "end", "timezone"),
    _needs("kubernetes-workload", "podSelector"),
    _needs("metrics-api", "url", "valueLocation"),
    (
        "(self.type in ['cpu', 'memory']) == has(self.sourceRef)",
        "sourceRef is for cpu and memory triggers, and required there",
    ),
    (
        "!has(self.metricType) || (self.type in ['cpu', 'memory'] ? self.metricType != 'Value' : self.metricType != 'Utilization')",
        "metricType is Utilization or AverageValue for cpu and memory, AverageValue or Value for all others",
    ),
    (
        "!has(self.useCachedMetrics) || self.type in ['prometheus', 'kubernetes-workload', 'metrics-api', 'external']",
        "useCachedMetrics is for triggers whose value is asked for",
    ),
    (
        "!has(self.authenticationRef) || self.type in ['prometheus', 'metrics-api', 'external']",
        "authenticationRef is for prometheus, metrics-api and external triggers",
    ),
    (
        (
            "!has(self.metadata) || !(has(self.metadata.authModes) || has(self.metadata.authMode)) || has(self.authenticationRef)"
            " || self.type == 'external'"
        ),
        "authModes needs credentials: name their TriggerAuthentication by authenticationRef",
    ),
    (
        "!has(self.metadata) || !has(self.metadata.authModes) || !has(self.metadata.authMode) || self.type == 'external'",
        "authMode is the older name of authModes: both can't be given",
    ),
    (
        (
            "self.type != 'external' || !has(self.metadata) || has(self.metadata.scalerAddress) || !has(self.metadata.metricSelector)"
            " || has(self.metadata.metricName)"
        ),
        "metricSelector narrows the metric that metricName names: write metricName, or remove it",
    ),
    (
        (
            "self.type != 'external' || !has(self.metadata) || has(self.metadata.scalerAddress) || !has(self.metadata.metricName)"
            " || (!has(self.authenticationRef) && self.metadata.metricName.matches('^[A-Za-z0-9_:][A-Za-z0-9_.:-]{0,252}$'))"
        ),
        "an external metric is read by its name (metricName), by burster's own account: correct the name, and remove authenticationRef",
    ),
    (
        (
            "self.type != 'cron' || !has(self.metadata) || !has(self.metadata.start) || !has(self.metadata.end) ||"
            " self.metadata.start != self.metadata.end"
        ),
        "start and end of a cron trigger must differ",
    ),
)
