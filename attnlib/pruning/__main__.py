"""Where the command of the study went."""

import sys

if __name__ == "__main__":
    sys.exit("the study is another command now: python -m attnlib.studies pruning")
