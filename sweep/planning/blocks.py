"""The sections of a sweep file that define trials: the whole file, or each of its `blocks`."""

from collections.abc import Iterator
from typing import Annotated, Any

import pydantic

from ...training.trial import SEEDS
from .parsing import axis, field_names, refuse_unknown_keys, validated
from .yaml_document import Document, Place


class Axes(pydantic.BaseModel):
    """The keys of a block. A list in place of a single value is an axis."""

    model_config = pydantic.ConfigDict(extra="forbid", strict=True)

    dataset: Any
    architectures: Any
    seeds: list[Annotated[int, pydantic.Field(ge=SEEDS.minimum, le=SEEDS.maximum)]]
    methods: dict[str, dict[str, Any] | None]
    recipe: Any = "paper"


class SweepBlock:
    """The axes of one block, whose product is trained, and the place of each axis in the file."""

    def __init__(self, own: dict[str, Any], shared: dict[str, Any], document: Document, at: Place) -> None:
        """Check the axes of a block.

        Args:
            own: the keys of the block itself.
            shared: the keys at the top of the file, which hold for all blocks.
            document: the file.
            at: the place of the block in the file.

        Raises:
            DocumentError: for the first invalid or empty axis.
        """
        self.values = shared | own
        self._shared = shared.keys() - own.keys()
        self._at = at
        self.axes = validated(Axes, self.values, document, section=self)
        for name in ("seeds", "methods"):
            axis(list(getattr(self.axes, name)), document, self.place(name))

    def place(self, key: str) -> Place:
        """Return the place of a key of the block in the file."""
        return (key,) if key in self._shared else (*self._at, key)


def read_blocks(document: Document, settings: list[str]) -> Iterator[SweepBlock]:
    """Iterate over the blocks of a file. A key that a block lacks is read from the top of the file.

    Args:
        document: the file.
        settings: the keys of the file that are not axes.

    Raises:
        DocumentError: for the first mistake.
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
            problem = f"not used, because every block sets its own {key!r}; remove it here or in a block."
            raise document.error((key,), problem)
    for number, section in enumerate(sections):
        refuse_unknown_keys(section, keys, document, ("blocks", number))
        yield SweepBlock(section, shared, document, ("blocks", number))
