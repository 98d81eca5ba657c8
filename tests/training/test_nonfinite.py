import math

import pytest
import torch
from exeunt.training.nonfinite import NonFiniteDetector, TrainingDiverged

NAMES = ("label", "norm")


def look_at(*steps, prompt=True):
    """Return the detector after these steps, each with a value for every name."""
    detector = NonFiniteDetector(torch.device("cpu"))
    detector._prompt = prompt
    for step in steps:
        detector.look(NAMES, torch.tensor(step))
    return detector


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("position", [0, 1])
def test_the_first_step_that_is_not_finite_is_named_with_its_values(value, position):
    broken = [2.0, 3.0]
    broken[position] = value
    detector = look_at([0.0, 1.0], broken, [5.0, math.nan], [6.0, 7.0], prompt=False)
    assert detector.broken == 1
    with pytest.raises(TrainingDiverged, match=rf"^{NAMES[position]} not finite \(label .*, norm .*\)$") as diverged:
        detector.check()
    assert diverged.value.step == 1
    assert f"{NAMES[1 - position]} {broken[1 - position]:g}" in str(diverged.value)


def test_a_step_that_is_not_finite_is_raised_at_once_on_a_cpu():
    with pytest.raises(TrainingDiverged):
        look_at([0.0, math.inf])


def test_large_values_are_finite():
    look_at([3e38, -3e38], [0.0, -0.0]).check()
