"""Write docs/speed.md: the newest row of each benchmark in results.csv, with the command that made it.

python benchmarks/page.py
"""

import csv
from pathlib import Path

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "speed.md"
COMMANDS = {
    "quickstart": "benchmarks/quickstart.py",
    "training": "benchmarks/train_speed.py --reference DIR --data DIR [--agreement], benchmarks/cifar100.py --data DIR",
    "loss": "benchmarks/loss_cost.py",
    "early exit": "benchmarks/early_exit.py",
    "orchestration": "benchmarks/orchestration.py [--simulate]",
    "planning": "benchmarks/planning.py",
    "tables": "benchmarks/tables.py",
}
"""Commands of the sections, by the prefix of their rows, in the order of the page."""
TOP = """\
# Measurements

*Reference.* You look up the speed and memory use of Exeunt itself, and the command that measured each number.

Each value is the newest row of its benchmark in [`benchmarks/results.csv`](../benchmarks/results.csv). That file also
has the older rows, with all versions. `make bench` measures again, adds rows, and writes this page with
`benchmarks/page.py`. *Ratio* is the value relative to a reference or a limit that the name of the row gives, such as
another program in the same run.

All values are of CPUs. No figure of a GPU is measured: [GPUs](gpus.md#the-check) has the command that measures them.
"""


def newest(path: Path = HERE / "results.csv") -> dict[str, dict[str, str]]:
    """Return the last row of each benchmark, by its name."""
    with path.open(newline="", encoding="utf-8") as file:
        return {row["benchmark"]: row for row in csv.DictReader(file)}


def page(rows: dict[str, dict[str, str]]) -> str:
    """Return the page, with a section for each command."""
    lines = [TOP]
    for prefix, command in COMMANDS.items():
        lines += [f"## {prefix.capitalize()}", "", f"Command: `{command}`.", ""]
        lines += ["| measurement | value | ratio | machine | commit | date |", "|---|---|---|---|---|---|"]
        for name, row in rows.items():
            what = name.removeprefix(f"{prefix}: ")
            cells = (what, f"{row['value']} {row['unit']}", row["ratio"], row["machine"], row["commit"], row["date"])
            if what != name:
                lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(page(newest()), encoding="utf-8")
