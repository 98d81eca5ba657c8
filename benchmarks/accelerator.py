"""Check of Exeunt's GPU path on a machine with one GPU, in at most nine minutes.

    python benchmarks/accelerator.py check --out DIR [--data DIR] [--minutes 9] [--vendor DIR] [--reference DIR]

It needs torch 2.11, torchvision 0.26 and numpy, and runs the code of this checkout, installed or not. Each stage is a
process with its own time limit. Its facts are appended to DIR/check.jsonl as soon as they are measured; DIR/check.md
has a table for each stage and the verdict. The exit status is 1 if a stage fails. With --rehearse every stage runs with
tiny sizes on the CPU; that checks the check, and measures nothing.
"""

import argparse
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("specs", "losses", "models", "store", "training")
"""Sub-packages of `exeunt` that train without Ray, MLflow and pandas."""


def use_this_checkout(folder: Path, vendor: Path | None) -> None:
    """Let this process and its children import `exeunt` from this checkout, and other packages from `vendor`.

    Args:
        folder: directory for the links that make up the namespace `exeunt`.
        vendor: directory with pure Python packages, such as pytest; None if there is none.
    """
    (folder / "exeunt").mkdir(parents=True, exist_ok=True)
    for part in PARTS:
        link = folder / "exeunt" / part
        link.unlink(missing_ok=True)
        link.symlink_to(ROOT / part)
    paths = [str(folder.resolve()), *([str(vendor.resolve())] if vendor else [])]
    sys.path[:0] = paths
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([*paths, *([before] if before else [])])


def main() -> int:
    """Run the check that the command line describes, and return its exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    check = parser.add_subparsers(required=True, metavar="COMMAND").add_parser("check", help="run the stages")
    check.add_argument("--out", type=Path, required=True, metavar="DIR", help="directory of the output")
    check.add_argument(
        "--data", type=Path, metavar="DIR", help="directory of CIFAR-100; without it, stage `science` is skipped"
    )
    check.add_argument("--minutes", type=float, default=9, help="time limit of the whole check (default 9)")
    check.add_argument(
        "--vendor", type=Path, metavar="DIR", help="directory with pytest; without it, stage `tests` may be skipped"
    )
    check.add_argument(
        "--reference", type=Path, metavar="DIR", help="checkout of the authors' program, for stage `speed`"
    )
    check.add_argument("--only", metavar="NAMES", help="stages to run, separated by commas (default all)")
    check.add_argument("--rehearse", action="store_true", help="every stage with tiny sizes on the CPU")
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    use_this_checkout(chosen.out / "namespace", chosen.vendor)

    if chosen.rehearse:
        os.environ.setdefault("OMP_NUM_THREADS", "1")  # tiny tensors, on a machine that may be busy with other tests

    from gpu_check import runner, settings  # noqa: PLC0415 (they import `exeunt`)

    names = chosen.only.split(",") if chosen.only else list(runner.STAGES)
    if unknown := [name for name in names if name not in runner.STAGES]:
        parser.error(f"--only: no stage is called {', '.join(unknown)}; the stages are {', '.join(runner.STAGES)}")
    sizes = settings.Settings(
        out=chosen.out.resolve(), data=chosen.data, reference=chosen.reference, rehearse=chosen.rehearse
    )
    return runner.check(sizes, names, seconds=60 * chosen.minutes)


if __name__ == "__main__":
    sys.exit(main())
