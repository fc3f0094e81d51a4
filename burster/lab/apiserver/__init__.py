"""The lab's Kubernetes API server: an in-memory store with Kubernetes' semantics, and the real protocol on loopback in front of it.

The demo, tests and replays use it; real clients (kubernetes-asyncio, kubectl) talk to it unchanged. It knows nothing of bursting,
imports no Kubernetes library and reads no clock: time is what its owner injects.
"""
