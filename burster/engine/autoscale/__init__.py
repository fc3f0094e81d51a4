"""From values to a number of replicas, as KEDA and the HPA count: pure arithmetic in integers, without any state of the engine.

Called by ``engine.replicas`` for each poll and each sync, and by whoever asks "what would KEDA do". It must never read a clock, nor know
what a policy or a burst is: everything is an argument. Metric values are in milli-units, times are epoch ms.
"""
