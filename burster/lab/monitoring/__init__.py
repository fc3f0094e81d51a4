"""Stand-ins for what is read for metrics: kube-state-metrics' page, a Prometheus' HTTP API over it, an application's own metrics page."""
