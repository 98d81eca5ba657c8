"""Loaded sweeps of made-up trials, without MLflow."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pytest
from exeunt.results.figures import draw
from exeunt.results.frame import TYPES

FORMS = ("pdf", "png", "svg")
EPOCHS = 20
EXITS = {"exit1": 40e6, "exit2": 80e6, "final": 120e6}
"""Multiply-adds of each exit."""
HOSTILE = "$x_1^2$ %\\alpha & <b>#{~}"


@dataclass
class Sweep:
    """Trials of one sweep, and their metrics by epoch."""

    hostile = HOSTILE
    name: str = "made-up"
    seeds: int = 3
    rows: list[dict[str, object]] = field(default_factory=list)
    points: list[dict[str, object]] = field(default_factory=list)

    def trial(self, method, accuracy, *, seed=0, architecture="resnet8", state="done", error=None, exits=True, **more):
        """Record one trial with this final accuracy in %; `method__temperature` is `param.method.temperature`."""
        order = len(self.rows)
        key = f"{order:016x}"
        row = {
            "sweep": self.name, "key": key, "role": "result", "state": state, "error": error, "dataset": "digits",
            "architecture": architecture, "method": method, "seed": seed, "seeds": self.seeds, "order": order,
            "protocol": "last epoch on test", "commit": "abc", "run_id": f"run{order}", "param.protocol": "final",
        }  # fmt: skip
        row |= {f"param.{name.replace('__', '.')}": value for name, value in more.items()}
        if accuracy is not None:
            for place, (exit, cost) in enumerate(EXITS.items()):
                if exits or exit == "final":
                    row[f"test/{exit}/top1"] = accuracy - 3.0 * (len(EXITS) - 1 - place)
                    row[f"cost/{exit}/multiply_adds"] = cost
            trial = {"sweep": self.name, "key": key, "architecture": architecture, "method": method, "seed": seed}
            for epoch in range(1, EPOCHS + 1):
                top1 = accuracy * (1 - np.exp(-(epoch + seed / 10) / 3))
                self.points.append({**trial, "epoch": epoch, "split": "train", "exit": "final", "top1": top1})
                row["train/final/top1"] = top1
        self.rows.append(row)

    def trials(self, method, *accuracies, **more):
        """Record a finished trial for each seed from 0."""
        for seed, accuracy in enumerate(accuracies):
            self.trial(method, accuracy, seed=seed, **more)

    @property
    def frame(self):
        frame = pd.DataFrame.from_records(self.rows)
        return frame.reindex(columns=[*TYPES, *frame.columns.difference(list(TYPES))]).astype(TYPES)

    @property
    def history(self):
        columns = ["sweep", "key", "architecture", "method", "seed", "epoch", "split", "exit", "top1"]
        return pd.DataFrame.from_records(self.points, columns=columns)


@pytest.fixture
def sweep():
    return Sweep()


@pytest.fixture(scope="session")
def full():
    """Sweep with all figures: three architectures, missing seeds, hostile names, an ablation."""
    sweep, random = Sweep(), np.random.default_rng(0)
    for place, architecture in enumerate(["resnet8", "resnet20", "vgg8"]):

        def around(mean, place=place):
            return np.round(mean + place + random.normal(0, 0.5, 3), 2)

        settings = {"architecture": architecture, "exits": False}
        sweep.trials("baseline", *around(70), **settings)
        sweep.trials(HOSTILE, *around(71), **settings)
        if architecture == "resnet20":
            sweep.trial("kd", 72.0, seed=0, **settings)
            sweep.trial("kd", None, seed=1, state="diverged", error="loss is NaN\nat <1>", **settings)
            sweep.trial("kd", 72.5, seed=2, **settings)
        else:
            sweep.trials("kd", *around(72), **settings)
        for temperature in ("10.0", "3.0"):
            for loss in ("mse", "kl"):
                settings = {"method__temperature": temperature, "method__output_loss": loss}
                sweep.trials("eed", *around(74), architecture=architecture, **settings)
    return sweep


@pytest.fixture(scope="session")
def drawn(full):
    """Figures of `full` by name."""
    return {figure.name: figure for figure in draw(full.frame, full.history)}


@pytest.fixture(scope="session")
def files(drawn):
    """File contents of these figures by name and format."""
    return {name: {form: getattr(figure, form)() for form in FORMS} for name, figure in drawn.items()}
