"""The same as `scaling-lab`, for `python cli.py …` from a checkout and as the `program:` of every sweep."""

from scaling_lab.__main__ import main

if __name__ == "__main__":
    main()
