"""Where a burst can run and what that costs: offerings ranked, places that refused lately, strategies."""
