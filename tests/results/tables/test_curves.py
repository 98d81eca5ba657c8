import pytest
from exeunt.results import tabulate
from exeunt.specs import SpecError


@pytest.mark.parametrize("kind", ["convergence", "stability"])
def test_without_a_history_there_are_no_curves(sweep, kind):
    with pytest.raises(SpecError, match="needs the history"):
        tabulate(sweep.frame(), kind)
    empty = sweep.history().iloc[:0]
    with pytest.raises(SpecError, match="no accuracy by epoch is recorded yet"):
        tabulate(sweep.frame(), kind, history=lambda: empty)
