"""What is inside burster's own machines in the lab: guests that boot from their user data, as cloud-init and systemd would have them."""

from burster.lab.machines.guests import GuestOptions, Guests


__all__ = ["GuestOptions", "Guests"]
