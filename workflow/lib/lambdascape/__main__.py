"""`python -m lambdascape`."""

from lambdascape.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
