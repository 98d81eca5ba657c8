"""Helpers to train a trial in two processes; scripts outside the test package import them too."""

from exeunt.losses import EED
from exeunt.models import ArchitectureSpec, ExitSpec
from exeunt.store import TrialFiles
from exeunt.sweep.execution.distributed_launch import train_together
from exeunt.training import DatasetSpec, Recipe, TrialSpec


def trial(method=None, **fields):
    method = method or EED()
    return TrialSpec(
        dataset=DatasetSpec(name="digits"),
        architecture=ArchitectureSpec(name="resnet8"),
        method=method,
        exits=ExitSpec(placement="none" if method.exits == "ignored" else "all"),
        recipe=Recipe(epochs=500, batch_size=512),
        **fields,
    )


def trained(spec, folder, *, on_epoch=print, stop=lambda: False, **settings):
    together = {"processes": 2, "device": "cpu", "on_epoch": on_epoch, "stop": stop}
    return train_together(spec, TrialFiles(folder), **together, **settings)
