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
        low = f"{_number(self.above)} < " if math.isfinite(self.above) else ""
        low = f"{_number(self.minimum)} <= " if math.isfinite(self.minimum) else low
        high = f" <= {_number(self.maximum)}" if math.isfinite(self.maximum) else ""
        return f"{low}{name}{high}" if low or high else f"{name} is finite"


def _number(value: float) -> str:
    """In full, so that what is copied from a message is within the range."""
    return str(int(value)) if value == int(value) else repr(value)


Positive = Annotated[float, Range(above=0)]
NonNegative = Annotated[float, Range(minimum=0)]
Fraction = Annotated[float, Range(minimum=0, maximum=1)]
Count = Annotated[int, Range(minimum=1)]


@dataclass(frozen=True, kw_only=True)
class FieldInfo:
    """What a field of a spec may hold."""

    name: str
    default: Any
    """`dataclasses.MISSING` if there is none."""
    kind: Any
    """Its type, without `| None`."""
    optional: bool
    """Whether it may be None."""
    limits: Range | None
    choices: tuple[Any, ...]
    """All values that there are, if they are few."""

    @property
    def rule(self) -> str:
        """What it may hold, in a few words; empty where its type says all."""
        if self.choices:
            return " | ".join(map(str, self.choices))
        if self.kind is bool:
            return "true | false"
        return self.limits.rule(self.name) if self.limits else ""


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
        for name, setting in self._checked().items():
            value = getattr(self, name)
            if value is None and setting.optional:
                continue
            if setting.kind is float and isinstance(value, int) and not isinstance(value, bool):
                object.__setattr__(self, name, float(value))
            if setting.limits is not None:
                number = int if setting.kind is int else (int, float)
                if not isinstance(value, number) or isinstance(value, bool) or not setting.limits.contains(value):
                    endless = isinstance(value, float) and not math.isfinite(value)
                    require(False, f"{name} is finite" if endless else setting.limits.rule(name), **{name: value})
            if setting.kind is bool:
                require(isinstance(value, bool), f"{name} is true or false", **{name: value})
            if setting.choices and value not in setting.choices:
                raise unknown(name, value, map(str, setting.choices), field=name)

    @classmethod
    @functools.cache
    def _checked(cls) -> "dict[str, FieldInfo]":
        """Those of the settings that not every value is right for."""
        return {
            name: setting
            for name, setting in cls.field_infos().items()
            if setting.limits is not None or setting.choices or setting.kind in (bool, float)
        }

    @classmethod
    @functools.cache
    def field_infos(cls) -> "dict[str, FieldInfo]":
        """What each field may hold, by name."""
        hints = get_type_hints(cls, include_extras=True)
        return {field.name: _setting(field, hints[field.name]) for field in dataclasses.fields(cls)}

    def inactive_fields(self) -> frozenset[str]:
        """Fields that have no effect because of what other fields hold, such as a temperature without softmax."""
        return frozenset()

    def canonical(self) -> Self:
        """The same experiment with every irrelevant field reset to its default."""
        settings = self.field_infos()
        return self.replace(**{name: settings[name].default for name in self.inactive_fields()})

    def replace(self, **values: Any) -> Self:
        """The spec with these values for some of its fields: itself if it has them already."""
        new = {}
        for name, value in values.items():
            held = getattr(self, name)
            # Two specs that count as equal may still differ, in fields that do not tell experiments apart.
            if value is not held and (isinstance(value, Spec) or value != held):
                new[name] = value
        return dataclasses.replace(self, **new) if new else self

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """The spec that `to_dict` described."""
        return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in content.items()})

    def to_dict(self) -> dict[str, Any]:
        """The fields that matter, as plain JSON values."""
        skipped = self.inactive_fields()
        return {name: _plain(getattr(self, name)) for name in self.field_infos() if name not in skipped}

    @functools.cached_property
    def text(self) -> str:
        """`to_dict` as canonical JSON, written once however many trials share this spec."""
        return canonical_json(self.to_dict())


def _setting(field: "dataclasses.Field[Any]", hint: Any) -> FieldInfo:
    kind, *notes = get_args(hint) if get_origin(hint) is Annotated else (hint,)
    optional = isinstance(kind, UnionType)
    if optional:
        kind = next(part for part in get_args(kind) if part is not NoneType)
    limits = next((note for note in notes if isinstance(note, Range)), None)
    choices = get_args(kind) if get_origin(kind) is Literal else ()
    return FieldInfo(
        name=field.name, default=field.default, kind=kind, optional=optional, limits=limits, choices=choices
    )


def _plain(value: object) -> object:
    if isinstance(value, Spec):
        return value.to_dict()
    return list(value) if isinstance(value, tuple) else value


def canonical_json(content: object) -> str:
    """The one way of writing plain values: keys sorted, no spaces, nothing that is not a number."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)


def short_hash(text: str) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def content_key(content: Mapping[str, Any]) -> str:
    """The key of the content's canonical JSON."""
    return short_hash(canonical_json(content))
