"""The sections of a sweep file that say what is trained: the whole file, or each of its `blocks`."""

from collections.abc import Iterator
from typing import Annotated, Any

import pydantic

from ...training.trial import SEEDS
from .parsing import axis, field_names, refuse_unknown_keys, validated
from .yaml_document import Document, Place


class Axes(pydantic.BaseModel):
    """What a block says. A list where one value is expected is an axis."""

    model_config = pydantic.ConfigDict(extra="forbid", strict=True)

    dataset: Any
    architectures: Any
    seeds: list[Annotated[int, pydantic.Field(ge=SEEDS.minimum, le=SEEDS.maximum)]]
    methods: dict[str, dict[str, Any] | None]
    recipe: Any = "paper"


class SweepBlock:
    """Axes whose product is trained, and where in the file each of them stands."""

    def __init__(self, own: dict[str, Any], shared: dict[str, Any], document: Document, at: Place) -> None:
        """Of what the block says itself at a place of the file, and of what the file says for all blocks."""
        self.values = shared | own
        self._shared = shared.keys() - own.keys()
        self._at = at
        self.axes = validated(Axes, self.values, document, section=self)
        for name in ("seeds", "methods"):
            axis(list(getattr(self.axes, name)), document, self.place(name))

    def place(self, key: str) -> Place:
        """Where in the file a key of the block stands."""
        return (key,) if key in self._shared else (*self._at, key)


def read_blocks(document: Document, settings: list[str]) -> Iterator[SweepBlock]:
    """The blocks of a file; what a block does not say is said for all of them at the top.

    `settings` are the keys of the file that are no axes. Raises `DocumentError` for the first mistake.
    """
    keys = field_names(Axes)
    refuse_unknown_keys(document.content, [*settings, *keys, "blocks"], document, ())
    shared = {key: document.content[key] for key in keys if key in document.content}
    if "blocks" not in document.content:
        yield SweepBlock(shared, {}, document, ())
        return
    sections = validated(list[dict[str, Any]], document.content["blocks"], document, ("blocks",))
    axis(sections, document, ("blocks",))
    for key in shared:
        if all(key in section for section in sections):
            raise document.error((key,), f"every block has its own {key!r}, so that this one is never used.")
    for number, section in enumerate(sections):
        refuse_unknown_keys(section, keys, document, ("blocks", number))
        yield SweepBlock(section, shared, document, ("blocks", number))
