"""Frames of made-up trials, as returned by `load`, and their tables."""

import pandas as pd
from exeunt.results import RenderedTable, tabulate
from exeunt.results.frame import TYPES

SPECIAL = r"_ % & # ~ ^ \ $ { }"
OPTIONS = {"ablation": {"rows": "temperature", "columns": "exits"}}


class Sweep:
    """Made-up sweep."""

    def __init__(self) -> None:
        self.trials: list[dict[str, object]] = []

    def trial(self, method: str, accuracy: float | None = None, **columns: object) -> str:
        order = len(self.trials)
        parameters = {name.replace("__", "."): columns.pop(name) for name in list(columns) if "__" in name}
        trial = dict.fromkeys(TYPES) | {
            "sweep": "made-up",
            "key": f"{order:016x}",
            "run_id": f"{order:032x}",
            "role": "result",
            "state": "done",
            "dataset": "cifar100",
            "architecture": "resnet20",
            "method": method,
            "seed": 0,
            "seeds": 3,
            "order": order,
            "protocol": "last epoch on test",
            "param.recipe.epochs": "240",
            "test/final/top1": accuracy,
        }
        self.trials.append(trial | {f"param.{name}": value for name, value in parameters.items()} | columns)
        return trial["key"]

    def history(self) -> pd.DataFrame:
        """Return four epochs of each completed trial; the last is its accuracy minus one point."""
        return pd.DataFrame(
            {"key": trial["key"], "epoch": epoch, "split": split, "exit": "final", "top1": top1 - distance}
            for trial in self.trials
            if trial["state"] == "done" and (top1 := trial["test/final/top1"])
            for epoch, distance in ((4, 1.0), (1, 40.0), (2, 3.0), (3, 2.0))
            for split in ("train", "validation")
        )

    def frame(self) -> pd.DataFrame:
        return pd.DataFrame(self.trials).astype(TYPES)


def made(sweep: Sweep, kind: str) -> RenderedTable:
    return tabulate(sweep.frame(), kind, **OPTIONS.get(kind, {}), history=sweep.history)


def shown(sheet: RenderedTable) -> list[list[str]]:
    """Return texts and details of each row."""
    return [[" ".join([entry.text, *entry.details]) for entry in row] for row in sheet.rows]
