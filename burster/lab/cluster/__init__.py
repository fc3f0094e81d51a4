"""The on-prem cluster of the lab: scheduler, kubelets and workload controllers on the API store.

``burster.lab.labcluster`` starts all of it. Event driven, in process, in virtual time; nothing in here knows burster.
"""
