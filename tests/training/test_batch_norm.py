import torch
from exeunt.training.batch_norm import BatchCounters
from torch import nn


def counts(network):
    return [int(layer.num_batches_tracked) for layer in network if isinstance(layer, nn.BatchNorm1d)]


def test_counters_are_those_of_pytorch_after_an_update():
    network = nn.Sequential(nn.BatchNorm1d(2), nn.BatchNorm1d(2, momentum=None), nn.BatchNorm1d(2))
    network[2].eval()
    counters = BatchCounters(network)
    places = [layer.num_batches_tracked.data_ptr() for layer in network]
    with counters.suspended(passes=2):
        assert network[0].num_batches_tracked is None
        for _ in range(2):
            network(torch.randn(3, 2))
    assert list(network.state_dict()) == list(nn.Sequential(*(nn.BatchNorm1d(2) for _ in range(3))).state_dict())
    for _ in range(2):  # the second update has nothing to add
        counters.update()
        assert counts(network) == [2, 2, 0]
    with counters.suspended(passes=1):
        network(torch.randn(3, 2))
    counters.update()
    assert counts(network) == [3, 3, 0]
    assert [layer.num_batches_tracked.data_ptr() for layer in network] == places
