"""`python -m ticktalk`: the command line."""

from ticktalk.cli.entry import main

if __name__ == "__main__":
    main()
