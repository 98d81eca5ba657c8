import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def _one_thread_for_each_test_process() -> None:
    """The tests run in two processes, and small tensors gain nothing from more threads."""
    torch.set_num_threads(1)
