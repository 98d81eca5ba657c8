import numpy as np

from .made_up import made, shown


def test_stability(sweep):
    lines = {tuple(row[:2]): row[2:] for row in shown(made(sweep, "stability"))}
    over_epochs = np.std([-40.0, -3.0, -2.0, -1.0], ddof=1)
    assert lines["resnet20", "baseline"] == ["70.00", "1.00", f"{over_epochs:.2f}"]
    assert lines["resnet20", "eed temperature=3, exits=all,block1"][0].endswith("2 of 3")
