"""What a sweep file can name."""

from collections.abc import Iterator
from typing import Literal

from rich.table import Table

from ..losses import Method, methods
from ..models import (
    ArchitectureSpec,
    ExitSpec,
    architecture_layout,
    architectures,
    build_network,
    heads,
    multiply_adds,
)
from ..specs import Setting
from ..training import datasets, recipes

Kind = Literal["methods", "architectures", "datasets", "recipes", "heads"]

IMAGE = (3, 32, 32)

HEADINGS = {
    "methods": ("method", "what it is", "exits", "teacher", "cost", "settings: default (range)", "paper"),
    "architectures": ("architecture", "stages", "blocks of each stage"),
    "datasets": ("data set", "what it is", "images", "classes"),
    "recipes": ("recipe", "settings"),
    "heads": ("head", "what it is"),
}


def listing(kind: Kind) -> Table:
    """A table of everything of a kind."""
    rows = {
        "methods": _methods,
        "architectures": _architectures,
        "datasets": _datasets,
        "recipes": _recipes,
        "heads": _heads,
    }
    table = Table(show_lines=kind in ("methods", "recipes"))
    for number, heading in enumerate(HEADINGS[kind]):
        whole = number == 0 or heading.startswith("settings and")  # names, to be copied
        table.add_column(heading, no_wrap=whole, overflow="fold")
    for row in rows[kind]():
        table.add_row(*row)
    return table


def _methods() -> Iterator[tuple[str, ...]]:
    for name in methods:
        spec = methods[name]
        settings = "\n".join(_setting(setting) for setting in spec.settings().values())
        needs = [spec.exits if spec.exits != "ignored" else "no", spec.teacher if spec.teacher != "ignored" else "no"]
        yield name, _summary(spec), *needs, f"{_relative_cost(spec):.2f}", settings or "none", spec.paper


def _setting(setting: Setting) -> str:
    """A setting with its default and what it may hold."""
    default = "by other settings" if setting.default is None else setting.default
    return f"{setting.name}: {default}" + (f"  ({setting.rule})" if setting.rule else "")


def _relative_cost(spec: type[Method]) -> float:
    """Multiply-adds of a training step of resnet18 with its defaults at 32x32, relative to the baseline's.

    A backward pass counts as two forward passes; a teacher is of the same architecture.
    """
    if spec.cohort:
        return float(spec.settings()["networks"].default)
    with_exits = spec.exits == "required"
    exits = ExitSpec(placement="all" if with_exits else "none")
    resnet18 = ArchitectureSpec(name="resnet18")
    network = build_network(resnet18, exits, image_shape=IMAGE, classes=100, seed=0)
    forward = multiply_adds(network, (1, *IMAGE)) / multiply_adds(network.trunk, (1, *IMAGE))
    return (3 * forward + (spec.teacher != "ignored") + spec.needs_pairs) / 3


def _architectures() -> Iterator[tuple[str, ...]]:
    for name in architectures:
        stages = architecture_layout(name, IMAGE, 10).stages
        yield name, str(len(stages)), " ".join(str(len(stage)) for stage in stages)


def _datasets() -> Iterator[tuple[str, ...]]:
    for name in datasets:
        facts = datasets[name]
        yield name, facts.description, "x".join(map(str, facts.image_shape)), str(facts.classes)


def _recipes() -> Iterator[tuple[str, ...]]:
    for name in recipes:
        settings = recipes[name].to_dict().items()
        yield name, ", ".join(f"{field}: {value}" for field, value in settings)


def _heads() -> Iterator[tuple[str, ...]]:
    for name in heads:
        yield name, _summary(heads[name])


def _summary(described: object) -> str:
    return (described.__doc__ or "").strip().splitlines()[0]
