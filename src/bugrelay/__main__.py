"""`python -m bugrelay` and the `bugrelay` command."""

from bugrelay.cli import main

if __name__ == "__main__":
    main()
