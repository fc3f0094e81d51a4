"""Programs that run inside burster's own machines. Sent there as they are, so they need nothing but an old Python 3 (RHEL 9 has 3.9)."""
