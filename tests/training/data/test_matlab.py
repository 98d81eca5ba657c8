import numpy as np
import pytest
from exeunt.training.data.matlab import read_arrays
from scipy.io import loadmat, savemat

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i4", "f4", "f8", "i8"])
def test_arrays_are_those_that_scipy_reads(tmp_path, compressed, dtype):
    shapes = {"X": (3, 4, 5, 7), "y": (11, 1), "few": (1, 3), "one": (1, 1), "a_longer_name": (2, 9)}
    written = {name: RANDOM.integers(0, 100, shape).astype(dtype) for name, shape in shapes.items()}
    savemat(tmp_path / "arrays.mat", written, do_compression=compressed)
    expected, found = loadmat(tmp_path / "arrays.mat"), read_arrays(tmp_path / "arrays.mat")
    assert found.keys() == shapes.keys()
    for name, array in found.items():
        assert array.dtype == dtype
        assert np.array_equal(array, expected[name])
        assert np.array_equal(array, written[name])
