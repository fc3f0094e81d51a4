"""The lab's kubelets and CAA beside a control plane that is not the lab's: hollow nodes, as Kubernetes calls what only acts like nodes.

Scheduling, workload controllers and garbage collection are the real ones' there. Everything goes over the wire.
"""
