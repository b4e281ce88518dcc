"""`python -m halage`: the command line."""

from halage.cli.main import main

main()
