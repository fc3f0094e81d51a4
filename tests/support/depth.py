"""Whether properties look at the same examples in every run, or explore: BURSTER_EXPLORE=1 makes those at full depth look further."""

import os


EXPLORING = bool(os.environ.get("BURSTER_EXPLORE"))
