import json
import math
import subprocess
import sys

import pytest
from exeunt.losses import EED, Baseline
from exeunt.models import ArchitectureSpec, ExitSpec
from exeunt.sweep.execution.gpu_packing import HEAD_ROOM, OVERHEAD, Packing, packed_share
from exeunt.sweep.planning.cost import Costs
from exeunt.sweep.planning.plan import single
from exeunt.training import DatasetSpec, Recipe, TrialSpec
from hypothesis import given
from hypothesis import strategies as st

GIB = 2**30


@given(peak=st.integers(0, 400 * GIB), capacity=st.integers(GIB, 200 * GIB))
def test_as_many_fit_as_their_memory_lets_and_their_shares_make_no_more_than_one(peak, capacity):
    share = packed_share(peak, capacity)
    assert 0 < share <= 1
    fitting = math.floor(1 / share + 1e-6)
    assert fitting * share <= 1
    assert round(share * 10_000) == pytest.approx(share * 10_000)  # Ray's resolution
    need = HEAD_ROOM * peak + OVERHEAD
    assert fitting == 1 or fitting * need <= capacity
    assert fitting > 99 or (fitting + 1) * need > capacity


@pytest.mark.parametrize(("peak", "share"), [(0, 0.0125), (5 * GIB, 0.0909), (30 * GIB, 0.5), (60 * GIB, 1.0)])
def test_the_share_on_eighty_gibibytes(peak, share):
    assert packed_share(peak, 80 * GIB) == share


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
    packing = Packing(80 * GIB)
    assert packing.share(first, 0) == 1.0
    assert packing.share(second, 1) == (None if alike else 1.0)


SHARES = """
import json, sys
import ray
from exeunt.specs import SpecError
from exeunt.sweep.execution.gpu_packing import smallest_accelerator
from ray import tune

class Suggesting(tune.search.Searcher):
    def __init__(self):
        super().__init__()
        self.left = [1.0, 0.25, 0.25, 0.5]

    def suggest(self, trial_id):
        return {"gpu": self.left.pop(0)} if self.left else self.FINISHED

    def on_trial_complete(self, trial_id, result=None, error=False):
        pass

    def save(self, checkpoint_path):
        pass

def trial(config):
    tune.report({"had": ray.get_runtime_context().get_assigned_resources().get("GPU")})

def resources(config):
    return tune.PlacementGroupFactory([{"CPU": 1, "GPU": config["gpu"]}])

ray.init(address="local", num_cpus=2, num_gpus=1, include_dashboard=False, log_to_driver=False)
try:
    smallest_accelerator()
except SpecError as error:
    refusal = str(error)
tuner = tune.Tuner(
    tune.with_resources(trial, resources),
    tune_config=tune.TuneConfig(search_alg=Suggesting(), num_samples=-1, reuse_actors=True),
    run_config=tune.RunConfig(storage_path=sys.argv[1], verbose=0),
)
results = [[result.config["gpu"], result.metrics["had"]] for result in tuner.fit()]
print(json.dumps([refusal, results]))
"""
"""Script for a Ray of its own, which is configured with a GPU that does not exist."""


@pytest.mark.nightly
def test_ray_gives_each_trial_the_share_that_was_suggested_and_an_accelerator_that_is_none_is_refused(tmp_path):
    ran = subprocess.run([sys.executable, "-c", SHARES, tmp_path], capture_output=True, text=True, check=True)
    refusal, results = json.loads(ran.stdout.splitlines()[-1])
    assert "PyTorch finds no GPU" in refusal
    assert sorted(results) == [[0.25, 0.25], [0.25, 0.25], [0.5, 0.5], [1.0, 1.0]]
