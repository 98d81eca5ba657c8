import torch
from exeunt.training.transfer import to_device

from ..fake_cuda import DEVICE, fake_cuda


def test_tensors_of_all_kinds_come_to_the_device_in_one_pinned_transfer():
    tensors = [
        torch.arange(5),
        torch.tensor([True, False, True]),
        torch.rand(3, 4).t(),
        torch.tensor(0.25),
        torch.zeros(0, 6, dtype=torch.int32),
        torch.rand(2, dtype=torch.float64),
    ]
    with fake_cuda() as gpu:
        found = to_device(tensors, DEVICE)
        assert [upload.what for upload in gpu.uploads] == ["pinned"]
        assert not gpu.blocking
        assert to_device([], DEVICE) == []
    assert all(tensor.device == DEVICE for tensor in found)
    torch.testing.assert_close([tensor.held for tensor in found], tensors, rtol=0, atol=0)
    assert all(here is tensor for here, tensor in zip(to_device(tensors, torch.device("cpu")), tensors, strict=True))
