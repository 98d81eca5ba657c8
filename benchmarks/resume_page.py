"""Write the table of docs/comparison.md from resume.csv, which has what benchmarks/resume.py has run.

python benchmarks/resume_page.py
"""

import csv
from pathlib import Path

HERE = Path(__file__).parent
OUTCOMES = HERE / "resume.csv"
PAGE = HERE.parent / "docs" / "comparison.md"
START, END = "<!-- table of benchmarks/resume_page.py -->\n", "<!-- end of the table -->\n"
TITLES = {"exeunt": "Exeunt", "ray": "Ray Tune", "hydra": "Hydra with joblib", "optuna": "Optuna"}
MEASURES = {
    "killed_after": "epochs trained before the kill, of 48",
    "finished_twice": "completed trainings that were repeated",
    "epochs_twice": "epochs that were trained again",
    "missing": "trials without a result after the resumption, of 6",
    "trained_again": "unchanged trials that were trained again for the new value, of 6",
    "missing_at_end": "trials without a result after the new value, of 9",
    "different": "results that differ from an uninterrupted run",
    "statuses": "exit status of the second and of the third run",
    "lines": "lines of the user that only serve to resume",
    "versions": "versions",
    "torch": "PyTorch",
    "python": "Python",
    "date": "date",
}
"""Rows of the table, by the column of resume.csv."""
OF_THE_PROGRAM = ("lines", "versions", "torch", "python", "date")
"""Measures that do not depend on the moment of the kill."""


def recorded() -> list[dict[str, str]]:
    """Return the recorded outcomes; none before the first run."""
    if not OUTCOMES.exists():
        return []
    with OUTCOMES.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def table(outcomes: list[dict[str, str]]) -> str:
    """Return the table: a column for each program that was run, and a value for each kill."""
    programs = {name: [row for row in outcomes if row["program"] == name] for name in TITLES}
    programs = {name: rows for name, rows in programs.items() if rows}
    lines = [f"| | {' | '.join(TITLES[name] for name in programs)} |", f"|---|{'---|' * len(programs)}"]
    for measure, title in MEASURES.items():
        cells = []
        for rows in programs.values():
            values = [row[measure] for row in rows]
            cells.append(", ".join(dict.fromkeys(values) if measure in OF_THE_PROGRAM else values))
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def page(text: str, outcomes: list[dict[str, str]]) -> str:
    """Return the text of the page with this table."""
    before, _, rest = text.partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START}\n{table(outcomes)}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), recorded()), encoding="utf-8")
