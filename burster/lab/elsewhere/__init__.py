"""A second provider: a small cloud that is not Azure, with a cloud-api-adaptor of its own under another RuntimeClass.

The proof that the exit works. burster never talks to that cloud; it sees pods, and PeerPod records.
"""
