"""Base class of all specs: values are checked at construction, and equal experiments have one canonical form."""

import dataclasses
import functools
import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, ClassVar, Literal, Self, get_args, get_origin, get_type_hints

from .errors import SpecError, require, unknown
from .text import is_printable


@dataclass(frozen=True, kw_only=True)
class Range:
    """Allowed range of a number, given in its annotation: `Annotated[float, Range(above=0)]`."""

    above: float = -math.inf
    """Exclusive lower limit."""
    minimum: float = -math.inf
    """Inclusive lower limit."""
    maximum: float = math.inf
    """Inclusive upper limit."""

    def contains(self, value: float) -> bool:
        """Return True if the value is finite and within the range."""
        return math.isfinite(value) and self.above < value and self.minimum <= value <= self.maximum

    def rule(self, name: str) -> str:
        """Return the range as a rule, such as `0 < name <= 1`."""
        low = f"{_number(self.above)} < " if math.isfinite(self.above) else ""
        low = f"{_number(self.minimum)} <= " if math.isfinite(self.minimum) else low
        high = f" <= {_number(self.maximum)}" if math.isfinite(self.maximum) else ""
        return f"{low}{name}{high}" if low or high else f"{name} is finite"


def _number(value: float) -> str:
    """Return the number with all its digits, so that a limit copied from a message is within the range."""
    return str(int(value)) if value == int(value) else repr(value)


Positive = Annotated[float, Range(above=0)]
NonNegative = Annotated[float, Range(minimum=0)]
Fraction = Annotated[float, Range(minimum=0, maximum=1)]
Count = Annotated[int, Range(minimum=1)]


@dataclass(frozen=True, kw_only=True)
class FieldInfo:
    """Name, type, default and allowed values of a field of a spec."""

    name: str
    default: Any
    """Default value; `dataclasses.MISSING` for a required field."""
    kind: Any
    """Type of the field, without `| None`."""
    optional: bool
    """True if the field may be None."""
    limits: Range | None
    """Allowed range of a number; None for a field without a range."""
    choices: tuple[Any, ...]
    """Allowed values of a `Literal` field; empty for other fields."""

    @property
    def rule(self) -> str:
        """Short description of the allowed values; empty if the type is the only restriction."""
        if self.choices:
            return " | ".join(map(str, self.choices))
        if self.kind is bool:
            return "true | false"
        return self.limits.rule(self.name) if self.limits else ""

    def check(self, value: Any) -> None:
        """Raise `SpecError` for a value that the annotation of the field forbids."""
        name = self.name
        if self.limits is not None:
            number = int if self.kind is int else (int, float)
            if not isinstance(value, number) or isinstance(value, bool) or not self.limits.contains(value):
                rule = self.limits.rule(name)
                if isinstance(value, float) and not math.isfinite(value):
                    rule = f"{name} is finite"
                elif not isinstance(value, number) or isinstance(value, bool):
                    rule += ", a whole number" if self.kind is int else ", a number"
                require(False, rule, **{name: value})
        if any(isinstance(text, str) and not is_printable(text) for text in _items(value)):
            rule = "must be printable text, without line breaks, control characters and invalid UTF-8"
            raise SpecError(f"{name} {rule}, but got {value!a}.", field=name)
        if self.kind is bool:
            require(isinstance(value, bool), f"{name} is true or false", **{name: value})
        if self.choices and value not in self.choices:
            raise unknown(name, value, map(str, self.choices), field=name)


@dataclass(frozen=True, kw_only=True)
class Spec:
    """Frozen dataclass whose fields are checked against their `Range` or `Literal` annotations.

    A subclass checks rules between fields in its own `__post_init__`, which calls this one first.
    Every error is a `SpecError` that names the field.
    """

    # Pydantic reads this when a spec is parsed from a file. It has no effect if pydantic is not installed.
    __pydantic_config__: ClassVar[dict[str, object]] = {"extra": "forbid"}

    later_fields: ClassVar[frozenset[str]] = frozenset()
    """Fields that 0.1.0 did not have. `to_dict` omits their defaults, so that earlier trials keep their keys."""

    locations: ClassVar[frozenset[str]] = frozenset()
    """Fields with a path, whose characters need not be printable."""

    def __post_init__(self) -> None:
        """Check each field; convert an integer in a float field, so that 3 and 3.0 give the same spec.

        Text has to be printable, since tables, logs and MLflow show it.
        """
        for name, setting in self._checked().items():
            value = getattr(self, name)
            if value is None and setting.optional:
                continue
            if setting.kind is float and isinstance(value, int) and not isinstance(value, bool):
                object.__setattr__(self, name, float(value))
            setting.check(value)

    @classmethod
    def mistakes(cls, values: Mapping[str, Any]) -> Iterator[SpecError]:
        """Iterate over the errors of values that their fields alone forbid."""
        for name, setting in cls._checked().items():
            value = values.get(name)
            if value is not None:
                try:
                    setting.check(value)
                except SpecError as error:
                    yield error

    @classmethod
    @functools.cache
    def _checked(cls) -> "dict[str, FieldInfo]":
        """Return the fields that have restricted values, by name."""
        return {
            name: setting
            for name, setting in cls.field_infos().items()
            if name not in cls.locations
            if setting.limits is not None
            or setting.choices
            or setting.kind in (bool, float, str)
            or get_origin(setting.kind) is tuple
        }

    @classmethod
    @functools.cache
    def field_infos(cls) -> "dict[str, FieldInfo]":
        """Return the `FieldInfo` of each field, by name."""
        hints = get_type_hints(cls, include_extras=True)
        return {field.name: _setting(field, hints[field.name]) for field in dataclasses.fields(cls)}

    def inactive_fields(self) -> frozenset[str]:
        """Return the fields that have no effect given the other fields, such as a temperature without a softmax."""
        return frozenset()

    def canonical(self) -> Self:
        """Return the same experiment with every inactive field reset to its default."""
        settings = self.field_infos()
        return self.replace(**{name: settings[name].default for name in self.inactive_fields()})

    def replace(self, **values: Any) -> Self:
        """Return a copy with new values for some fields, or this spec itself if no value changes."""
        new = {}
        for name, value in values.items():
            held = getattr(self, name)
            # Two specs can compare equal although fields that are excluded from the comparison differ.
            if value is not held and (isinstance(value, Spec) or value != held):
                new[name] = value
        return dataclasses.replace(self, **new) if new else self

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Build the spec from the output of `to_dict`."""
        return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in content.items()})

    def to_dict(self) -> dict[str, Any]:
        """Return all fields except the inactive ones and the defaults of later fields, as plain JSON values."""
        return dict(self._plain)

    @functools.cached_property
    def _plain(self) -> dict[str, Any]:
        """Content of `to_dict`; cached, because many trials share one spec."""
        fields = self.field_infos()
        skipped = self.inactive_fields()
        skipped |= {name for name in self.later_fields if getattr(self, name) == fields[name].default}
        return {name: _plain(getattr(self, name)) for name in fields if name not in skipped}

    @functools.cached_property
    def text(self) -> str:
        """Canonical JSON of `to_dict`; cached, because many trials share one spec."""
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


def _items(value: object) -> tuple[object, ...]:
    return value if isinstance(value, tuple) else (value,)


def _plain(value: object) -> object:
    if isinstance(value, Spec):
        return value.to_dict()
    return list(value) if isinstance(value, tuple) else value


def canonical_json(content: object) -> str:
    """Return JSON with sorted keys and without spaces.

    Raises:
        ValueError: if a number is NaN or infinite.
    """
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)


def short_hash(text: str) -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def content_key(content: Mapping[str, Any]) -> str:
    """Return the `short_hash` of the canonical JSON of `content`."""
    return short_hash(canonical_json(content))
