"""A virtual world around the same engine: traces, an on-prem cluster, a cloud, and what a run of them came to."""
