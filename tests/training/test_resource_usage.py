import pytest
from exeunt.training.resource_usage import is_out_of_memory


@pytest.mark.parametrize(
    ("error", "is_memory"),
    [
        (RuntimeError("could not create a primitive"), True),
        (RuntimeError("could not create a primitive descriptor for the matmul primitive."), False),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("out of memory"), False),
        (MemoryError(), True),
        (RuntimeError("FIND was unable to find an engine to execute this computation"), True),
        (RuntimeError("Unable to find a valid cuDNN algorithm to run convolution"), True),
    ],
)
def test_of_all_errors_those_of_memory_are_told(error, is_memory):
    assert is_out_of_memory(error) == is_memory
