"""`python -m minijmap` is the command `minijmap`."""

from minijmap.cli import main

main()
