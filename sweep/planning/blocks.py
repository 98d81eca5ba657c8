"""The sections of a sweep file that define trials: the whole file, or each of its `blocks`."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import pydantic

from ...specs import SpecError
from ...training.trial import SEEDS
from .parsing import axis, field_names, refuse_unknown_keys, validated
from .yaml_document import Document, Place

OWN = "x-"
"""Beginning of keys at the top of a file that are the user's, such as places for anchors."""
MOST_SEEDS = 10_000
"""Largest number that is read as a number of seeds."""


class Axes(pydantic.BaseModel):
    """The keys of a block. A list in place of a single value is an axis."""

    model_config = pydantic.ConfigDict(extra="forbid", strict=True)

    dataset: Any
    architectures: Any
    seeds: list[Annotated[int, pydantic.Field(ge=SEEDS.minimum, le=SEEDS.maximum)]]
    methods: dict[str, dict[str, Any] | None]
    recipe: Any = "paper"

    @pydantic.field_validator("seeds", mode="before")
    @classmethod
    def _of_a_number(cls, written: object) -> object:
        """Return the seeds 0, 1, ... for a number of seeds."""
        if isinstance(written, bool) or not isinstance(written, int) or not 0 < written <= MOST_SEEDS:
            return written
        return [*range(written)]

    @pydantic.field_validator("methods", mode="before")
    @classmethod
    def _of_names(cls, written: object) -> object:
        """Return the methods with their default settings for a list of names."""
        if not isinstance(written, list) or not all(isinstance(name, str) for name in written):
            return written
        if twice := next((name for name in written if written.count(name) > 1), None):
            raise SpecError(f"{twice!r} is listed twice; remove one.")
        return dict.fromkeys(written)


class SweepBlock:
    """The axes of one block, whose product is trained, and the place of each axis in the file.

    If the document notes a mistake in an axis, another value takes its place, so that the rest can be read.
    """

    def __init__(self, own: dict[str, Any], shared: dict[str, Any], document: Document, at: Place) -> None:
        """Check the axes of a block. The document notes the mistakes.

        Args:
            own: the keys of the block itself.
            shared: the keys at the top of the file, which hold for all blocks.
            document: the file.
            at: the place of the block in the file.
        """
        self.values = shared | own
        self._shared = shared.keys() - own.keys()
        self._at = at
        self.axes = _readable(self.values)
        with document.noting():
            self.axes = validated(Axes, self.values, document, section=self)
            for name in ("seeds", "methods"):
                axis(list(getattr(self.axes, name)), document, self.place(name))

    def place(self, key: str) -> Place:
        """Return the place of a key of the block in the file."""
        return (key,) if key in self._shared else (*self._at, key)


def _readable(values: Mapping[str, Any]) -> Axes:
    """Return the axes that can be read further, with other values for missing and invalid ones."""
    written = values.get("methods")
    methods = written if isinstance(written, dict) else {}
    return Axes.model_construct(
        dataset=values.get("dataset", "digits"),
        architectures=values.get("architectures", "resnet8"),
        seeds=[0],
        methods={name: section for name, section in methods.items() if section is None or isinstance(section, dict)},
        recipe=values.get("recipe", "paper"),
    )


def read_blocks(document: Document, settings: list[str]) -> Iterator[SweepBlock]:
    """Iterate over the blocks of a file. A key that a block lacks is read from the top of the file.

    Args:
        document: the file.
        settings: the keys of the file that are not axes.

    The document notes the mistakes.
    """
    keys = field_names(Axes)
    content = {key: value for key, value in document.content.items() if not str(key).startswith(OWN)}
    with document.noting():
        refuse_unknown_keys(content, [*settings, *keys, "blocks"], document, ())
    shared = {key: content[key] for key in keys if key in content}
    if "blocks" not in content:
        yield SweepBlock(shared, {}, document, ())
        return
    sections: list[dict[str, Any]] = []
    with document.noting():
        sections = validated(list[dict[str, Any]], content["blocks"], document, ("blocks",))
        axis(sections, document, ("blocks",))
        for key in shared:
            if all(key in section for section in sections):
                problem = f"not used, because every block sets its own {key!r}; remove it here or in a block."
                raise document.error((key,), problem)
    for number, section in enumerate(sections):
        with document.noting():
            refuse_unknown_keys(section, keys, document, ("blocks", number))
        yield SweepBlock({key: section[key] for key in section if key in keys}, shared, document, ("blocks", number))
