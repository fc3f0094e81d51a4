"""Values: what the engine takes, what it gives, and what it knows.

What there are many of is made with ``gc=False``: a value that never changes can't come to hold itself, so the garbage collector need not
look at it. With 100,000 pods that looking would cost more than some of the decisions.
"""
