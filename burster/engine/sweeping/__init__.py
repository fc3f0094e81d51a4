"""Nothing left behind: what is in the cloud against what the records claim, what that costs, and how it ends."""
