"""What a sweep file can name."""

import functools
from collections.abc import Iterator
from typing import Literal

from rich.table import Table

from ...losses import Method, methods
from ...models import ExitSpec, architecture_layout, architectures, head_multiply_adds, heads, resolve
from ...specs import FieldInfo
from ...training import Recipe, datasets, recipes

Kind = Literal["methods", "architectures", "datasets", "recipes", "heads"]

IMAGE = (3, 32, 32)


def listing(kind: Kind) -> Table:
    """Everything of a kind, a name to a row with what there is to say of it."""
    rows = {
        "methods": _methods,
        "architectures": _architectures,
        "datasets": _datasets,
        "recipes": _recipes,
        "heads": _heads,
    }
    table = Table(show_header=False, show_lines=kind in ("methods", "recipes"))
    table.add_column(no_wrap=True)  # a name, to be copied
    table.add_column(overflow="fold")
    for row in rows[kind]():
        table.add_row(*row)
    return table


def _methods() -> Iterator[tuple[str, str]]:
    for name in methods:
        spec = methods[name]
        cost = f"a step costs {_relative_cost(spec):.2f} times the baseline's (resnet18, 32x32)"
        needs = f"{EXITS[spec.exits]}; {TEACHER[spec.teacher]}; {cost}"
        settings = [_setting(setting) for setting in spec.field_infos().values()]
        yield name, "\n".join([_summary(spec), spec.paper, needs, *settings])


EXITS = {"required": "needs exits", "optional": "exits if you like", "ignored": "no exits"}
TEACHER = {"required": "needs a teacher", "self": "a teacher of its own architecture", "ignored": "no teacher"}


def _setting(setting: FieldInfo) -> str:
    """A setting with its default and what it may hold."""
    default = "depends on the others" if setting.default is None else _yaml(setting.default)
    return f"  {setting.name}: {default}" + (f"   ({setting.rule})" if setting.rule else "")


def _yaml(value: object) -> str:
    """A setting's value as a sweep file has it."""
    return str(value).lower() if isinstance(value, bool) else str(list(value) if isinstance(value, tuple) else value)


def _relative_cost(spec: type[Method]) -> float:
    """Multiply-adds of a training step of resnet18 with its defaults at 32x32, relative to the baseline's.

    A backward pass counts as two forward passes; a teacher is of the same architecture.
    """
    if spec.cohort:
        return float(spec.field_infos()["networks"].default)
    forward = _forward_with_exits() if spec.exits == "required" else 1.0
    return (3 * forward + (spec.teacher != "ignored") + spec.needs_same_class_pairs) / 3


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
        yield f"{prefix}...", f"any of its networks that is a row of blocks, such as {prefix}{example}"


def _datasets() -> Iterator[tuple[str, str]]:
    for name in datasets:
        facts = datasets[name]
        shape = "x".join(map(str, facts.image_shape))
        yield name, f"{facts.description}; {shape} pixels, {facts.classes} classes"
    yield "NAME@20%", "a fifth of each class of its training images, always the same; tested on all of its test images"
    yield "folder:PATH", "your own images: PATH/train/CLASS/*.png or *.jpg, and PATH/test/CLASS/ or PATH/val/CLASS/"


def _recipes() -> Iterator[tuple[str, str]]:
    """The one with all defaults in full, with what each setting may hold; of the others what they change in it."""
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
