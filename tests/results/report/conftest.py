"""Made-up sweeps as frames, their reports, and a browser that opens them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from exeunt.results.frame import TYPES
from exeunt.results.report import Origin, report

HOSTILE = {
    "sweep": "</title><script>alert(1)</script>",
    "method": "<script>alert(2)</script>",
    "architecture": '"onmouseover="alert(3)',
    "error": "</style><img src=x onerror=alert(4)>",
    "temperature": "{{ 7 * 7 }}</script><script>alert(5)</script>",
    "run_id": "javascript:alert(6)",
    "key": '" onclick="alert(7)',
    "file": "</pre><script>alert(8)</script>\x1b[2J",
    "reason": "<iframe src=https://example.org></iframe>",
    "commit": "</dd><svg onload=alert(9)>",
}
"""Texts that a page must show and must not run."""


class Sweep:
    """Made-up sweep."""

    def __init__(self, name: str = "made-up") -> None:
        self.name = name
        self.trials: list[dict[str, object]] = []

    def trial(self, method: str, accuracy: float | None = None, **columns: object) -> str:
        order = len(self.trials)
        parameters = {name.replace("__", "."): columns.pop(name) for name in list(columns) if "__" in name}
        trial = dict.fromkeys(TYPES) | {
            "sweep": self.name,
            "key": f"{order:016x}",
            "run_id": f"{order:032x}",
            "role": "result",
            "state": "done",
            "dataset": "digits",
            "architecture": "resnet8",
            "method": method,
            "seed": 0,
            "seeds": 3,
            "order": order,
            "protocol": "last epoch on test",
            "commit": "0123456789ab",
            "environment.torch": "2.15.0",
            "environment.device": "a CPU",
            "param.recipe.epochs": "4",
            "train/final/top1": accuracy,
            "test/final/top1": accuracy,
        }
        self.trials.append(trial | {f"param.{name}": value for name, value in parameters.items()} | columns)
        return str(self.trials[-1]["key"])

    def seeds(self, method: str, *accuracies: float, **columns: object) -> None:
        for seed, accuracy in enumerate(accuracies):
            self.trial(method, accuracy, seed=seed, seeds=len(accuracies), **columns)

    def frame(self) -> pd.DataFrame:
        frame = pd.DataFrame(self.trials)
        return frame.astype(TYPES | {name: "float64" for name in frame if name.endswith("top1")})

    def history(self) -> pd.DataFrame:
        """Return four epochs of each completed trial."""
        names = ["sweep", "key", "architecture", "method", "seed"]
        measured = ["epoch", "split", "exit", "top1", "top5", "nll", "ece"]
        rows = [
            (*(trial[name] for name in names), epoch, "train", "final", top1 - distance, np.nan, np.nan, np.nan)
            for trial in self.trials
            if trial["state"] == "done" and isinstance(top1 := trial["test/final/top1"], float)
            for epoch, distance in ((1, 40.0), (2, 3.0), (3, 2.0), (4, 1.0))
        ]
        return pd.DataFrame(rows, columns=[*names, *measured])

    def report(self, **origin: object) -> str:
        return report(self.frame(), self.history(), Origin(**{"storage": "runs"} | origin))


def two_architectures(**hostile: str) -> Sweep:
    """Return a sweep with a teacher, its student, exits, an axis of two settings, and a failed trial."""
    made = Sweep(hostile.get("sweep", "made-up"))
    told = {"environment.commit": hostile.get("commit", "0123456789ab")}
    teacher = made.trial("baseline", 88.0, architecture="resnet20", role="teacher", seeds=1, **told)
    for index, architecture in enumerate((hostile.get("architecture", "resnet8"), "resnet14")):
        for seed in range(3):
            common = {"architecture": architecture, "seed": seed, "seconds": 2.5, "cost/final/multiply_adds": 2e6}
            common |= {"cost/final/parameters": 8e4, "training_seconds": 10.0}
            made.trial("baseline", 80.0 + 9.5 * index + seed / 4, **common)
            taught = {"teacher__architecture": "resnet20", "teacher__key": teacher}
            made.trial(hostile.get("method", "kd"), 81.25 + 9 * index + seed / 2, **taught, **common)
            for temperature in ("1", hostile.get("temperature", "3")):
                for exits in ("all", "all,block1"):
                    settings = {"method__temperature": temperature, "exits__placement": exits}
                    top1 = 82.5 + 8 * index + seed / 3 + len(exits) / 9 + len(temperature) / 40
                    measured = {"test/exit1/top1": top1 - 9, "cost/exit1/multiply_adds": 5e5}
                    if (seed, exits, index) != (2, "all", 0):
                        made.trial("eed", top1, **settings, **measured, **common)
                        continue
                    lost = {"state": "failed", "error": hostile.get("error", "the loss was nan in epoch 3")}
                    made.trial("eed", None, **lost, **settings, **common)
    if "run_id" in hostile:
        made.trials[-1]["run_id"] = hostile["run_id"]
        made.trials[-1]["key"] = hostile["key"]
    return made


@pytest.fixture(scope="session")
def sweep() -> Sweep:
    return two_architectures()


@pytest.fixture(scope="session")
def origin() -> Origin:
    return Origin(
        storage="runs",
        planned=41,
        file="name: made-up\nseeds: [0, 1, 2]\n",
        commands=("exeunt sweep made-up.yaml --storage runs",),
        experiment="https://mlflow.example.org/#/experiments/7",
    )


@pytest.fixture(scope="session")
def html(sweep: Sweep, origin: Origin) -> str:
    return report(sweep.frame(), sweep.history(), origin)


@pytest.fixture(scope="session")
def hostile() -> str:
    made = two_architectures(**HOSTILE)
    return made.report(
        storage=HOSTILE["reason"],
        file=HOSTILE["file"],
        commands=(HOSTILE["reason"],),
        tracking="javascript:alert(10)",
        experiment="javascript:alert(11)",
    )


@pytest.fixture(scope="session")
def new_sweep() -> Callable[[], Sweep]:
    return Sweep


@pytest.fixture(scope="session")
def texts() -> dict[str, str]:
    return HOSTILE


@pytest.fixture
def opened(browser, tmp_path: Path) -> Iterator[Callable[..., object]]:
    """Function that opens a page; the test fails if the page reports an error or requests anything."""
    complaints: list[str] = []
    pages = []

    def open_page(content: str, *, width: int = 1280, scheme: str = "light") -> object:
        file = tmp_path / "report.html"
        file.write_text(content, encoding="utf-8")
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page.set_default_timeout(60_000)  # a busy machine is slow
        address = file.as_uri()
        page.on("console", lambda message: complaints.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        page.on("dialog", lambda dialog: (complaints.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on(
            "request",
            lambda request: request.url.startswith((address, "data:")) or complaints.append(f"request: {request.url}"),
        )
        page.goto(address)
        pages.append(page)
        return page

    yield open_page
    for page in pages:
        page.close()
    assert complaints == []
