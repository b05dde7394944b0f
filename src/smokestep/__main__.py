"""`python -m smokestep`: the command line."""

from smokestep.cli import main

if __name__ == "__main__":
    main()
