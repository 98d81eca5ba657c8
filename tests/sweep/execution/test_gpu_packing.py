import math

import pytest
import torch
from exeunt.losses import EED, KD, Baseline
from exeunt.models import ArchitectureSpec, ExitSpec
from exeunt.sweep.execution import gpu_probe, mps
from exeunt.sweep.execution.gpu_packing import (
    HEAD_ROOM,
    Footprint,
    GpuShares,
    share_for,
    shares_from,
    trials_per_gpu,
)
from exeunt.sweep.execution.gpu_probe import CONTEXT_BYTES, probe
from exeunt.sweep.planning.cost import Costs
from exeunt.sweep.planning.plan import single
from exeunt.training import DatasetSpec, DataSource, Recipe, TrialSpec
from hypothesis import given
from hypothesis import strategies as st

GIB = 2**30
COSTS = Costs()


def planned(seed=0, architecture="resnet8", method=None, exits="none", **recipe):
    spec = TrialSpec(
        dataset=DatasetSpec(name="digits"),
        architecture=ArchitectureSpec(name=architecture),
        method=method or Baseline(),
        exits=ExitSpec(placement=exits),
        recipe=Recipe(**recipe),
        seed=seed,
    )
    return single(spec, COSTS, "result")


def footprint(memory=GIB, *, capacity=80 * GIB, busy=0.1, most=8):
    return Footprint(memory=memory, capacity=capacity, busy=busy, most=most)


@given(
    memory=st.integers(1, 400 * GIB),
    capacity=st.integers(GIB, 200 * GIB),
    busy=st.floats(0, 1),
    most=st.sampled_from([8, 48]),
)
def test_as_many_share_a_gpu_as_its_memory_its_time_and_the_limit_allow(memory, capacity, busy, most):
    trials = trials_per_gpu(footprint(memory, busy=busy, most=most), capacity)
    assert 1 <= trials <= most
    assert trials == 1 or trials * HEAD_ROOM * memory <= capacity
    assert trials == 1 or (trials - 1) * busy < 1 + 1e-9
    one_more = trials + 1
    assert one_more > most or one_more * HEAD_ROOM * memory > capacity or (one_more - 1) * busy >= 1 - 1e-9


@pytest.mark.parametrize("trials", range(1, 100))
def test_a_share_admits_this_number_of_trials_at_rays_resolution(trials):
    share = share_for(trials)
    assert round(share * 10_000) == pytest.approx(share * 10_000)
    assert trials * share <= 1
    assert math.floor(1 / share) == trials


@pytest.mark.parametrize(
    ("needs", "share"),
    [
        (footprint(), 0.125),
        (footprint(busy=0.4), 0.3333),
        (footprint(busy=1.0), 1.0),
        (footprint(busy=0.0), 0.125),
        (footprint(30 * GIB), 0.5),
        (footprint(80 * GIB), 1.0),
        (footprint(GIB, busy=0.01, most=48), 0.0208),
    ],
)
def test_the_share_on_a_gpu_with_eighty_free_gibibytes(needs, share):
    assert shares_from({"network": needs}).by_network == {"network": share}


def test_shares_fit_on_the_gpu_with_the_least_free_memory_and_unmeasured_networks_get_the_largest():
    small, large = planned(), planned(architecture="resnet14")
    needs = {
        small.configuration.memory_group: footprint(2 * GIB),
        large.configuration.memory_group: footprint(4 * GIB, capacity=12 * GIB),
    }
    shares = shares_from(needs)
    assert (shares.of(small), shares.of(large), shares.of(planned(batch_size=7))) == (0.2, 0.5, 0.5)
    assert shares.least == 0.2


def test_a_number_is_for_all_networks():
    shares = GpuShares(by_network={}, default=0.25)
    assert (shares.of(planned()), shares.least) == (0.25, 0.25)


@pytest.mark.parametrize(
    ("first", "second", "alike"),
    [
        (planned(0), planned(1), True),
        (planned(learning_rate=0.1), planned(learning_rate=0.2), True),
        (planned(method=EED(temperature=1), exits="all"), planned(method=EED(temperature=3), exits="all"), True),
        (planned(), planned(architecture="resnet14"), False),
        (planned(), planned(batch_size=256), False),
        (planned(), planned(accumulation=2), False),
        (planned(), planned(ema_decay=0.9), False),
        (planned(), planned(method=EED(), exits="all"), False),
        (planned(method=EED(), exits="1"), planned(method=EED(), exits="all"), False),
    ],
)
def test_what_memory_does_not_depend_on_is_measured_once(first, second, alike):
    assert (first.configuration.memory_group == second.configuration.memory_group) == alike


class Gpu:
    """The two measurements of a GPU, in a probe on the CPU: memory by the calls, and the steps by which time passes."""

    def __init__(self, *free):
        self.free = list(free)
        self.trained = []

    def free_memory(self, _):
        return self.free.pop(0) if len(self.free) > 1 else self.free[0]

    def busy_share(self, train, _):
        self.trained = [train(), train()]
        return 0.3

    def probe(self, spec):
        how = {"free_memory": self.free_memory, "busy_share": self.busy_share}
        return probe(spec, DataSource(), torch.device("cpu"), threads=1, **how)


def spec_of(method=None, **recipe):
    teacher = TrialSpec.from_dict(planned().spec) if isinstance(method, KD) else None
    method = method or Baseline()
    architecture = ArchitectureSpec(name="resnet8")
    data, settings = DatasetSpec(name="digits"), Recipe(**recipe)
    return TrialSpec(dataset=data, architecture=architecture, method=method, recipe=settings, seed=0, teacher=teacher)


@pytest.fixture
def released(monkeypatch):
    """Step counts after which memory of the cache was released."""
    calls = []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: calls.append("released"))
    return calls


@pytest.mark.parametrize(
    ("method", "recipe"),
    [(None, {"epochs": 1, "batch_size": 512}), (KD(), {"batch_size": 64})],
)
def test_a_probe_measures_the_memory_that_is_gone_and_trains_seconds_not_epochs(released, monkeypatch, method, recipe):
    monkeypatch.setattr(gpu_probe, "MEASURED_STEPS", 4)
    monkeypatch.setattr(mps, "is_reachable", lambda: False)
    gpu = Gpu(10 * GIB, 7 * GIB)
    found = gpu.probe(spec_of(method, **recipe))
    assert found == Footprint(memory=3 * GIB + CONTEXT_BYTES, capacity=10 * GIB + CONTEXT_BYTES, busy=0.3, most=8)
    assert gpu.trained == [4, 4]  # also where an epoch has fewer steps
    assert released == ["released"]


def test_a_slow_step_ends_a_part_of_the_probe(monkeypatch):
    monkeypatch.setattr(gpu_probe, "LIMIT_S", 0.0)
    gpu = Gpu(10 * GIB)
    gpu.probe(spec_of())
    assert gpu.trained == [1, 1]


def test_what_does_not_fit_needs_the_whole_gpu(monkeypatch):
    def overflow(*_):
        raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")

    monkeypatch.setattr(gpu_probe, "TrainingLoop", overflow)
    found = Gpu(10 * GIB).probe(spec_of())
    assert (found.memory, found.busy) == (found.capacity, 1.0)
    assert trials_per_gpu(found, found.capacity) == 1


def test_the_pipe_of_mps_marks_that_it_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_MPS_PIPE_DIRECTORY", str(tmp_path))
    assert not mps.is_reachable()
    (tmp_path / "control").touch()
    assert mps.is_reachable()
