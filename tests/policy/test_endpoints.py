import pytest

from burster.policy.endpoints import endpoint_allowed, endpoint_of


THANOS = "https://thanos-querier.openshift-monitoring.svc.cluster.local:9092"


@pytest.mark.parametrize(
    ("url", "want"),
    [
        (THANOS, THANOS),
        (f"{THANOS}/api/v1/query?query=up", THANOS),
        ("HTTPS://Prometheus.Example.COM/", "https://prometheus.example.com:443"),
        ("http://prometheus.example.com", "http://prometheus.example.com:80"),
        ("https://prometheus.example.com:443#x", "https://prometheus.example.com:443"),
        ("https://prometheus.example.com?x=1", "https://prometheus.example.com:443"),
        ("https://10.0.0.1:65535", "https://10.0.0.1:65535"),
        ("https://[::1]:9090/x", "https://[::1]:9090"),
        ("grpc://scaler.bank:6000", "grpc://scaler.bank:6000"),
        ("http://localhost:9090", "http://localhost:9090"),
        # what can't be told for sure
        ("grpc://scaler.bank", ""),
        ("https://prometheus.example.com:0", ""),
        ("https://prometheus.example.com:65536", ""),
        ("https://prometheus.example.com:", ""),
        ("https://prometheus.example.com:9092x", ""),
        ("https://user@prometheus.example.com", ""),
        ("https://user:secret@prometheus.example.com:9092", ""),
        ("https://prometheus.example.com\\@evil.example", ""),
        ("https://prometheus.example.com./", ""),
        ("https://-prometheus.example.com", ""),
        ("https://prometheus..example.com", ""),
        ("https://prometheus%2eexample.com", ""),
        ("https://prom\u0435theus.example.com", ""),  # a Cyrillic e
        ("https://prometheus.example.com/\u0435", ""),
        ("https://prometheus.example.com/a b", ""),
        ("https://prometheus.example.com/a\\b", ""),
        (" https://prometheus.example.com", ""),
        ("https://prometheus.example.com\n", ""),
        ("https://prometheus.example.com/\n", ""),
        ("https:/prometheus.example.com", ""),
        ("https:prometheus.example.com", ""),
        ("//prometheus.example.com", ""),
        ("prometheus.example.com:9090", ""),
        ("ftp://prometheus.example.com", ""),
        ("file:///etc/passwd", ""),
        ("https://", ""),
        ("", ""),
        ("https://prometheus.example.com:\u0661", ""),
        ("http\u017f://prometheus.example.com", ""),  # an s that lower-cases to one
    ],
)
def test_an_endpoint_is_scheme_host_and_port_or_nothing(url: str, want: str):
    assert endpoint_of(url) == want


@pytest.mark.parametrize(
    ("url", "allowed", "want"),
    [
        (f"{THANOS}/api", (THANOS,), True),
        (f"{THANOS}/api", ("https://other.example", THANOS.upper() + "/"), True),
        ("https://prometheus.example.com", ("https://prometheus.example.com:443",), True),
        (THANOS, (), False),
        (THANOS.replace("https", "http"), (THANOS,), False),
        (THANOS.replace("9092", "9091"), (THANOS,), False),
        (THANOS.replace(":9092", ""), (THANOS,), False),
        (THANOS.replace("cluster.local", "cluster.local.evil.example"), (THANOS,), False),
        ("https://evil.example/" + THANOS, (THANOS,), False),
        ("https://x.prometheus.example.com", ("https://prometheus.example.com",), False),
        ("https://prometheus.example.com@evil.example", ("https://prometheus.example.com", ""), False),
        ("nonsense", ("nonsense", ""), False),
    ],
)
def test_an_address_is_allowed_at_exactly_the_endpoints_that_are_listed(url: str, allowed: tuple[str, ...], want: bool):
    assert endpoint_allowed(url, allowed) is want
