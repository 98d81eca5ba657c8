"""Text from elsewhere cannot change a terminal or a page."""

import pytest
from exeunt.specs import Registry, SpecError, is_printable, one_line
from hypothesis import given
from hypothesis import strategies as st

WRONG = ["\x1b[31mred", "a\x07", "a\rb", "a\nb", "\x9b2J", "\u202eabc", "a\u2066b", "a\u2028b", "\udcff", "\0"]


@pytest.mark.parametrize("text", WRONG)
def test_control_characters_are_found_and_removed(text):
    assert not is_printable(text)
    assert is_printable(one_line(text))


@given(st.text(st.characters()))
def test_any_text_becomes_one_printable_line(text):
    line = one_line(text)
    assert is_printable(line)
    assert len(line.splitlines()) <= 1
    assert one_line(line) == line


@pytest.mark.parametrize("text", ["", "ResNet 18 ±1", "ü☃ 👩\u200d💻", "=cmd|' /C calc'!A0"])
def test_other_text_is_unchanged(text):
    assert is_printable(text)
    assert one_line(text) == text


@pytest.mark.parametrize("name", WRONG)
def test_no_such_name_is_registered_or_matches_a_pattern(name):
    registry = Registry("method")
    with pytest.raises(SpecError, match="has control characters") as error:
        registry.register(name)(object())
    assert is_printable(str(error.value))
    registry.register_pattern("*", lambda name: name)
    with pytest.raises(SpecError) as error:
        registry[f"folder:{name}"]
    assert is_printable(str(error.value))
