"""`python -m burster`: the command line."""

from burster.cli import main


main()
