"""The pages under docs/reference, and what README.md and docs/architecture.md show of a run, made from the code.

``python -m tools.reference`` (``make reference``) writes them anew; tests/docs holds them equal to what is made here. Nothing that runs
in a cluster imports this.
"""
