"""``python -m longspan``: the command line."""

from longspan.cli import main

main()
