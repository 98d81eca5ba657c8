"""Stage `science`: four methods on CIFAR-100, from spec to result."""

import dataclasses
import math
import shutil
from pathlib import Path

from exeunt.store import TrialFiles
from exeunt.training import DataSource, TrialSpec, recipes, train

from ..settings import Notes, Settings, SkippedError
from ..training import trial

TOP1 = 45.0
"""Smallest top-1 of the final exit that passes, in percent."""
LATE = 0.6
"""Part of the stage's time after which the teacher and its student are left out."""


def run(settings: Settings, notes: Notes) -> None:
    """Train each method and note its accuracy, time, energy and memory."""
    if settings.data is None and not settings.rehearse:
        raise SkippedError("it needs CIFAR-100; give its directory: --data DIR")
    for method in ("baseline", "deep_supervision", "eed"):
        _trained(settings, notes, method, _spec(settings, method))
    if notes.used() > LATE:
        notes.note("kd", reason="left out, since little time is left")
        return
    teacher = _spec(settings, "baseline", architecture="resnet8x4", epochs=settings.size(5, 1))
    weights = _trained(settings, notes, "teacher", teacher)
    _trained(settings, notes, "kd", _spec(settings, "kd", teacher=teacher), weights)


def _spec(
    settings: Settings,
    method: str,
    *,
    architecture: str = "resnet20",
    epochs: int | None = None,
    teacher: TrialSpec | None = None,
) -> TrialSpec:
    spec = trial(settings, method, architecture=architecture, dataset="cifar100", teacher=teacher)
    recipe = recipes["fast"].replace(
        epochs=epochs or settings.size(12, 2), batch_size=spec.recipe.batch_size, learning_rate=settings.size(0.2, 0.05)
    )
    return dataclasses.replace(spec, recipe=recipe)


def _trained(settings: Settings, notes: Notes, name: str, spec: TrialSpec, teacher: Path | None = None) -> Path:
    """Train a trial, note its numbers, and return the file of its weights."""
    folder = settings.out / "science" / name
    shutil.rmtree(folder, ignore_errors=True)  # a result of an earlier check would be returned
    source = DataSource(directory=settings.data)
    result = train(spec, TrialFiles(folder), teacher=teacher, source=source, device=settings.device.type)
    history = TrialFiles(folder).history()
    metrics = {
        key.split("/")[1]: value
        for key, value in result["metrics"].items()
        if key.startswith("test/") and key.endswith("/top1")
    }
    finite = result["state"] == "done" and all(math.isfinite(value) for value in metrics.values())
    final = metrics.get("final", 0.0)
    notes.note(
        name,
        passed=finite and final >= (settings.size(TOP1, 0.0) if name != "teacher" else 0.0),
        state=result["state"],
        top1=", ".join(f"{exit} {value:.1f}" for exit, value in metrics.items()),
        seconds=result["seconds"],
        images_per_second=history[-1]["images_per_second"] if history else 0,
        joules=sum(record.get("joules", math.nan) for record in history),
        peak_mib=max((record["peak_memory_bytes"] for record in history), default=0) / 2**20,
    )
    return folder / "weights.pt"
