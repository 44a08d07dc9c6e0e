"""`python -m kerasgan`: the command line."""

from kerasgan.cli import main

if __name__ == "__main__":
    main()
