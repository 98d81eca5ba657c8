"""What a sweep file can name."""

from collections.abc import Iterator
from typing import Literal

from rich.table import Table

from ..losses import methods
from ..models import architecture_layout, architectures, heads
from ..training import datasets, recipes
from .validation import field_names

Kind = Literal["methods", "architectures", "datasets", "recipes", "heads"]

HEADINGS = {
    "methods": ("method", "what it is", "exits", "teacher", "settings and defaults", "paper"),
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
        defaults = spec().to_dict() if field_names(spec) else {}
        settings = [f"{field}: {defaults.get(field, _default(spec, field))}" for field in field_names(spec)]
        yield name, _summary(spec), spec.exits, spec.teacher, "\n".join(settings) or "none", spec.paper


def _default(spec: type, field: str) -> object:
    return getattr(spec, field)


def _architectures() -> Iterator[tuple[str, ...]]:
    for name in architectures:
        stages = architecture_layout(name, (3, 32, 32), 10).stages
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
