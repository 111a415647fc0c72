"""`python -m aerodb` is `aerodb`."""

from aerodb.cli.main import main

if __name__ == "__main__":  # A process that helps to verify a long log imports this file, and must not run it.
    main()
