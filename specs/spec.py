"""The base of every spec: checked when it is made, and with one canonical form however it was written."""

import dataclasses
import functools
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, ClassVar, Literal, Self, get_args, get_origin, get_type_hints

from .errors import require, unknown


@dataclass(frozen=True, kw_only=True)
class Range:
    """The values that a number may take, written into its annotation: `Annotated[float, Range(above=0)]`."""

    above: float = -math.inf
    """The value is greater than this."""
    minimum: float = -math.inf
    maximum: float = math.inf

    def contains(self, value: float) -> bool:
        """Whether the value is finite and within the range."""
        return math.isfinite(value) and self.above < value and self.minimum <= value <= self.maximum

    def rule(self, name: str) -> str:
        """The range as a rule, such as `0 < name <= 1`."""
        low = f"{self.above:g} < " if math.isfinite(self.above) else ""
        low = f"{self.minimum:g} <= " if math.isfinite(self.minimum) else low
        high = f" <= {self.maximum:g}" if math.isfinite(self.maximum) else ""
        return f"{low}{name}{high}" if low or high else f"{name} is finite"


Positive = Annotated[float, Range(above=0)]
NonNegative = Annotated[float, Range(minimum=0)]
Fraction = Annotated[float, Range(minimum=0, maximum=1)]
Count = Annotated[int, Range(minimum=1)]


@dataclass(frozen=True, kw_only=True)
class Spec:
    """A frozen dataclass whose fields are checked against their `Range` or `Literal` annotations.

    Rules between fields are a subclass's own, in a `__post_init__` that calls this one first.
    Errors are `SpecError`s that name the field.
    """

    # Read by pydantic where a spec comes from a file; means nothing where pydantic is not installed.
    __pydantic_config__: ClassVar[dict[str, object]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        """Checks each field; an integer where a real number is meant becomes one, so that 3 and 3.0 are the same."""
        for name, (kind, optional, limits, choices) in _fields(type(self)).items():
            value = getattr(self, name)
            if value is None and optional:
                continue
            if kind is float and isinstance(value, int) and not isinstance(value, bool):
                object.__setattr__(self, name, float(value))
            if limits is not None:
                number = int if kind is int else (int, float)
                if not (isinstance(value, number) and not isinstance(value, bool) and limits.contains(value)):
                    require(False, limits.rule(name), **{name: value})
            if choices and value not in choices:
                raise unknown(name, value, map(str, choices), field=name)

    def irrelevant_fields(self) -> frozenset[str]:
        """Fields that have no effect because of what other fields hold, such as a temperature without softmax."""
        return frozenset()

    def canonical(self) -> Self:
        """The same experiment with every irrelevant field reset to its default."""
        defaults = {field.name: field.default for field in dataclasses.fields(self)}
        return dataclasses.replace(self, **{name: defaults[name] for name in self.irrelevant_fields()})

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """The spec that `to_dict` described."""
        return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in content.items()})

    def to_dict(self) -> dict[str, Any]:
        """The fields that matter, as plain JSON values."""
        skipped = self.irrelevant_fields()
        names = [field.name for field in dataclasses.fields(self) if field.name not in skipped]
        return {name: _plain(getattr(self, name)) for name in names}


@functools.cache
def _fields(spec: type[Spec]) -> dict[str, tuple[Any, bool, Range | None, tuple[Any, ...]]]:
    """Of each field: its type without `| None`, whether it had that, its range if any, its choices if a `Literal`."""
    hints = get_type_hints(spec, include_extras=True)
    described = {}
    for name in (field.name for field in dataclasses.fields(spec)):
        kind, *notes = get_args(hints[name]) if get_origin(hints[name]) is Annotated else (hints[name],)
        optional = isinstance(kind, UnionType)
        if optional:
            kind = next(part for part in get_args(kind) if part is not NoneType)
        limits = next((note for note in notes if isinstance(note, Range)), None)
        described[name] = (kind, optional, limits, get_args(kind) if get_origin(kind) is Literal else ())
    return described


def _plain(value: object) -> object:
    if isinstance(value, Spec):
        return value.to_dict()
    return list(value) if isinstance(value, tuple) else value


def content_key(content: Mapping[str, Any]) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of the content's canonical JSON."""
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]
