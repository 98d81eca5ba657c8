"""Replay one history and print what happens in it: `python -m tests.histories SEED`."""

import argparse
import shutil

from exeunt.specs import sqlite_uri
from exeunt.sweep.tracking.writer import create_database

from ..io_calls import memory_folder
from .history import History


def main() -> None:
    """Replay the history of a seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seed", type=int)
    seed = parser.parse_args().seed
    folder = memory_folder()
    try:
        create_database(folder / "mlflow.db")
        History(seed, sqlite_uri(folder / "mlflow.db"), print).run()
    finally:
        shutil.rmtree(folder)
    print(f"history {seed}: all promises hold")


if __name__ == "__main__":
    main()
