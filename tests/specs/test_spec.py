import math
from dataclasses import dataclass, field
from typing import Annotated, Literal

import pytest
from exeunt.specs import Count, Fraction, NonNegative, Positive, Range, Spec, SpecError, content_key
from hypothesis import given
from hypothesis import strategies as st


@dataclass(frozen=True, kw_only=True)
class Inner(Spec):
    width: Count = 4


@dataclass(frozen=True, kw_only=True)
class Outer(Spec):
    mode: Literal["plain", "softened"] = "plain"
    temperature: Positive = 3.0
    """Softmax temperature; only used with `mode: softened`."""
    decay: NonNegative = 0.0
    share: Fraction = 0.5
    epochs: Count = 1
    seed: Annotated[int, Range(minimum=0, maximum=7)] = 0
    offset: Annotated[float | None, Range()] = None
    steps: tuple[int, ...] = (1, 2)
    inner: Inner = field(default_factory=Inner)

    def inactive_fields(self) -> frozenset[str]:
        return frozenset({"temperature"} if self.mode == "plain" else ())


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("temperature", 0.0, "0 < temperature"),
        ("temperature", math.inf, "temperature is finite"),
        ("decay", -1e-9, "0 <= decay"),
        ("decay", math.nan, "decay is finite"),
        ("share", 1.001, "0 <= share <= 1"),
        ("share", "0.5", "0 <= share <= 1"),
        ("share", True, "0 <= share <= 1"),
        ("epochs", 0, "1 <= epochs"),
        ("epochs", 1.5, "1 <= epochs"),
        ("epochs", 2.0, "1 <= epochs"),
        ("epochs", True, "1 <= epochs"),
        ("epochs", None, "1 <= epochs"),
        ("seed", 8, "0 <= seed <= 7"),
        ("offset", math.nan, "offset is finite"),
    ],
)
def test_a_value_out_of_range_is_refused_with_field_rule_and_value(name, value, rule):
    with pytest.raises(SpecError) as refusal:
        Outer(**{name: value})
    assert refusal.value.field == name
    assert f"`{rule}" in str(refusal.value)
    assert f"{name}={value!r}" in str(refusal.value)


@pytest.mark.parametrize("limit", [1e-05, 1.23456789e-05, 0.9, 0.123456789, 0.999999, 4294967295, 1234567.5, 3.0])
def test_a_limit_that_is_copied_from_a_rule_is_within_the_range(limit):
    for ends in (Range(minimum=limit), Range(maximum=limit)):
        (written,) = (word for word in ends.rule("share").split() if word not in ("<=", "share"))
        assert ends.contains(float(written))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", 1e-300),
        ("decay", 0),
        ("share", 0),
        ("share", 1),
        ("epochs", 1),
        ("seed", 0),
        ("seed", 7),
        ("offset", None),
        ("offset", -1e300),
    ],
)
def test_the_ends_of_a_range_are_allowed_where_they_belong_to_it(name, value):
    assert getattr(Outer(**{name: value}), name) == value


@pytest.mark.parametrize(("value", "nearest"), [("softend", "'softened'"), ("Plain", "'plain'"), (None, "'softened'")])
def test_a_choice_that_is_none_is_refused_with_the_nearest_one(value, nearest):
    with pytest.raises(SpecError, match=rf"unknown mode {value!r}; .*{nearest}") as refusal:
        Outer(mode=value)
    assert refusal.value.field == "mode"


@given(st.integers(1, 10**6))
def test_an_integer_where_a_real_number_is_meant_is_the_same_spec_and_the_same_key(number):
    typed, meant = Outer(temperature=number, mode="softened"), Outer(temperature=float(number), mode="softened")
    assert typed == meant
    assert type(typed.temperature) is float
    assert content_key(typed.to_dict()) == content_key(meant.to_dict())


def test_an_optional_number_becomes_real_too():
    assert type(Outer(offset=2).offset) is float


def test_irrelevant_fields_are_reset_in_the_canonical_form_and_absent_from_the_dictionary():
    plain = Outer(temperature=5.0, share=0.25)
    assert plain.canonical() == Outer(share=0.25)
    assert "temperature" not in plain.to_dict()
    softened = Outer(mode="softened", temperature=5.0)
    assert softened.canonical() == softened
    assert softened.to_dict()["temperature"] == 5.0


@given(st.builds(Outer, mode=st.sampled_from(["plain", "softened"]), temperature=st.floats(0.1, 9)))
def test_the_canonical_form_is_its_own_canonical_form_and_means_the_same(spec):
    assert spec.canonical().canonical() == spec.canonical()
    assert spec.canonical().to_dict() == spec.to_dict()


def test_nested_specs_and_tuples_become_plain_json_values():
    assert Outer(mode="softened", inner=Inner(width=9), steps=(3, 5)).to_dict() == {
        "mode": "softened",
        "temperature": 3.0,
        "decay": 0.0,
        "share": 0.5,
        "epochs": 1,
        "seed": 0,
        "offset": None,
        "steps": [3, 5],
        "inner": {"width": 9},
    }


def test_a_content_key_never_changes():
    # printf '{"a":[1.5,null,"\\u00e9"],"b":1}' | sha256sum | cut -c1-16
    assert content_key({"b": 1, "a": [1.5, None, "é"]}) == "4fa79d67d7df922b"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda parts: st.lists(parts, max_size=3) | st.dictionaries(st.text(), parts, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), json_values, max_size=5))
def test_a_content_key_does_not_depend_on_the_order_of_entries(content):
    assert content_key(dict(reversed(content.items()))) == content_key(content)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_no_json_has_no_key(value):
    with pytest.raises(ValueError, match="JSON"):
        content_key({"loss": value})


@pytest.mark.parametrize("value", ["a\x1b[31m", "a\nb", "\u202eab", "\udcff"])
def test_text_of_a_setting_is_printable(value):
    @dataclass(frozen=True, kw_only=True)
    class Named(Spec):
        name: str = "fine"
        names: tuple[str, ...] = ()

    for values in ({"name": value}, {"names": ("fine", value)}):
        with pytest.raises(SpecError, match="must be printable text") as error:
            Named(**values)
        assert str(error.value).isprintable()
    assert Named(name="±ü☃", names=("=1",)).name == "±ü☃"
