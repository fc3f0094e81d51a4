"""burster: an event-driven cloud-bursting scheduler for confidential Kubernetes workloads."""

__version__ = "0.1.0"
