import pytest
from exeunt.specs import SpecError
from exeunt.sweep.planning.durations import duration, seconds_of


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30min", 1800), ("4h", 14400), ("1d", 86400), ("1.5h", 5400), (" 2 h ", 7200)]
)
def test_a_time_is_read(text, seconds):
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "4", "h", "4x", "-4h", "0s", "4h30min", "1e3s", "4H", "nan s"])
def test_what_is_no_time_is_refused_with_an_example(text):
    with pytest.raises(SpecError, match="such as 90s or 4h"):
        seconds_of(text)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "0 s"), (59.4, "59 s"), (200, "3 min 20 s"), (3600, "1 h 0 min"), (7512, "2 h 5 min")]
)
def test_a_time_is_said(seconds, text):
    assert duration(seconds) == text
