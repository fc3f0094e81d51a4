"""Policy cases: given this state and these stimuli, expect these decisions. Tests of policies, by those who write them."""
