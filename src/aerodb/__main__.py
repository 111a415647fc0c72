"""`python -m aerodb` is `aerodb`."""

from aerodb.cli.main import main

main()
