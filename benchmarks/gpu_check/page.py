"""The page check.md: one table for each stage, and the verdict."""

import json
from pathlib import Path
from typing import Any

Fact = dict[str, Any]
PASSED = {True: "pass", False: "**FAIL**", None: ""}


def records(path: Path) -> list[Fact]:
    """Return the lines of check.jsonl. A line that was cut off is left out."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def write_page(out: Path, *, rehearsed: bool) -> str:
    """Write check.md from check.jsonl and return the verdict."""
    found = records(out / "check.jsonl")
    ends = [record for record in found if "verdict" in record]
    verdict = _verdict(ends)
    note = "\nA rehearsal on a CPU with tiny sizes: no number here is a measurement.\n" if rehearsed else ""
    lines = ["# Check of the GPU path", note, f"**{verdict}**", ""]
    for end in ends:
        lines += [f"## {end['stage']}: {end['verdict']}", ""]
        lines += [f"{end['reason']}", ""] if end["reason"] else []
        lines += _table([record for record in found if record["stage"] == end["stage"] and "what" in record])
    (out / "check.md").write_text("\n".join(lines), encoding="utf-8")
    return verdict


def _verdict(ends: list[Fact]) -> str:
    stages = {kind: [end["stage"] for end in ends if end["verdict"] == kind] for kind in ("FAIL", "SKIP", "PASS")}
    parts = [f"{kind} {', '.join(names)}" for kind, names in stages.items() if names]
    return "Verdict: " + ("; ".join(parts) or "no stage ended")


def _table(facts: list[Fact]) -> list[str]:
    if not facts:
        return []
    columns = dict.fromkeys(name for fact in facts for name in fact if name not in ("stage", "what", "passed"))
    lines = [f"| what | | {' | '.join(columns)} |", "|---" * (2 + len(columns)) + "|"]
    for fact in facts:
        cells = [fact["what"], PASSED[fact["passed"]], *(_cell(fact.get(name, "")) for name in columns)]
        lines.append(f"| {' | '.join(cells)} |")
    return [*lines, ""]


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value).replace("|", "/").replace("\n", " ")
