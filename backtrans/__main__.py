"""`python -m backtrans`: the command line."""

from backtrans.cli import main

if __name__ == "__main__":
    main()
