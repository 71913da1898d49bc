"""`python -m vaplan`, which is how `torchrun` starts it."""

from vaplan.cli import main

if __name__ == "__main__":
    main()
