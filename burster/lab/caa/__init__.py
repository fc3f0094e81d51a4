"""The stand-in for cloud-api-adaptor: its webhook, its size choice, its sandboxes as Azure VMs, and peerpod-ctrl.

Nothing in here is used by the controller: it makes the side effects that burster has to live with.
"""
