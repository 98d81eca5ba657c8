"""Table of the names that a sweep file can use."""

import functools
import inspect
from collections.abc import Iterator
from typing import Literal

from rich.markup import escape

from ...losses import Method, methods
from ...models import ExitSpec, architecture_layout, architectures, head_multiply_adds, heads, resolve
from ...specs import FieldInfo
from ...training import Recipe, datasets, recipes
from .grid import Grid

Kind = Literal["methods", "architectures", "datasets", "recipes", "heads"]

IMAGE = (3, 32, 32)


def listing(kind: Kind, *, verbose: bool = False) -> Grid:
    """Return a table of all names of a kind, one in each row with its description; methods in full if `verbose`."""
    rows = {
        "methods": functools.partial(_methods, verbose=verbose),
        "architectures": _architectures,
        "datasets": _datasets,
        "recipes": _recipes,
        "heads": _heads,
    }
    table = Grid(show_header=False, show_lines=kind in ("methods", "recipes"))
    table.add_column(no_wrap=True)  # so that a name can be copied
    table.add_column(overflow="fold")
    for row in rows[kind]():
        table.add_row(*row)
    return table


def _methods(*, verbose: bool) -> Iterator[tuple[str, str]]:
    for name in methods:
        spec = methods[name]
        cost = f"one step costs {_relative_cost(spec):.2f} times a baseline step (resnet18, 32x32)"
        needs = f"{EXITS[spec.exits]}; {TEACHER[spec.teacher]}; {cost}"
        settings = [_setting(setting) for setting in spec.field_infos().values()]
        description = _in_full(spec) if verbose else [_summary(spec)]
        yield name, escape("\n".join([*description, spec.paper, needs, *settings]))


def _in_full(spec: type[Method]) -> list[str]:
    """Return the description of a method, its source and differences from it, and its equation."""
    paragraphs = [part for text in (spec, spec.loss) for part in (inspect.getdoc(text) or "").split("\n\n")]
    return [line for part in paragraphs for line in (part if part.startswith(" ") else " ".join(part.split()), "")]


EXITS = {"required": "requires exits", "optional": "exits optional", "ignored": "no exits"}
TEACHER = {
    "required": "requires a teacher",
    "self": "requires a teacher of the same architecture",
    "ignored": "no teacher",
}


def _setting(setting: FieldInfo) -> str:
    """Return a setting with its default and its allowed values."""
    default = "depends on other settings" if setting.default is None else _yaml(setting.default)
    return f"  {setting.name}: {default}" + (f"   ({setting.rule})" if setting.rule else "")


def _yaml(value: object) -> str:
    """Return the value of a setting as a sweep file writes it."""
    return str(value).lower() if isinstance(value, bool) else str(list(value) if isinstance(value, tuple) else value)


def _relative_cost(spec: type[Method]) -> float:
    """Return the multiply-adds of a training step relative to a baseline step: resnet18, 32x32, default settings.

    A backward pass counts as two forward passes. The teacher has the architecture of the student.
    """
    if spec.cohort:
        return float(spec.field_infos()["networks"].default)
    forward = _forward_with_exits() if spec.exits == "required" else 1.0
    return (spec.student_passes() * forward + spec.teacher_passes()) / 3


@functools.cache
def _forward_with_exits() -> float:
    layout = architecture_layout("resnet18", IMAGE, 100)
    exits = sum(head_multiply_adds(ExitSpec().head, layout, block, 100) for block in resolve("all", layout))
    return (layout.cost.whole + exits) / layout.cost.whole


def _architectures() -> Iterator[tuple[str, str]]:
    for name in architectures:
        stages = architecture_layout(name, IMAGE, 10).stages
        yield name, f"{len(stages)} stages of {', '.join(str(len(stage)) for stage in stages)} blocks"
    for prefix, example in (("torchvision/", "resnet50"), ("timm/", "resnet26")):
        yield f"{prefix}...", f"any network that is a sequence of blocks, such as {prefix}{example}"


def _datasets() -> Iterator[tuple[str, str]]:
    for name in datasets:
        facts = datasets[name]
        shape = "x".join(map(str, facts.image_shape))
        yield name, f"{facts.description}; {shape} pixels, {facts.classes} classes"
    yield "NAME@20%", "20% of the training images of each class, always the same images; the complete test set"
    yield (
        "folder:PATH",
        "image folder: PATH/train/CLASS/ and PATH/test/CLASS/, or val/; with a name: {path: PATH, name: NAME}",
    )


def _recipes() -> Iterator[tuple[str, str]]:
    """Iterate over the recipes: all settings of `paper`, and the differences of each other recipe from it."""
    paper = recipes["paper"].to_dict()
    yield "paper", "\n".join(_setting(setting) for setting in Recipe.field_infos().values())
    for name in recipes:
        changed = [f"{field}: {_yaml(v)}" for field, v in recipes[name].to_dict().items() if v != paper.get(field)]
        if name != "paper":
            yield name, f"paper with {', '.join(changed)}"


def _heads() -> Iterator[tuple[str, str]]:
    for name in heads:
        yield name, _summary(heads[name])


def _summary(described: object) -> str:
    return (described.__doc__ or "").strip().splitlines()[0]
