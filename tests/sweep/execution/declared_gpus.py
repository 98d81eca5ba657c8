"""Script that runs sweeps on a Ray with two declared GPUs that do not exist, and prints what each trial was given.

Everything but the training and the probe is real. Arguments: an empty directory, and the resources of each sweep in
YAML. The directory gets `found.json`: for each sweep, its exit status, its output, and what its trials were given.
"""

import importlib
import json
import os
import sys
from pathlib import Path

os.environ["CUDA_VISIBLE_DEVICES"] = "0,1"
os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # listen on loopback only

sys.path.insert(0, str(Path(__file__).parents[2]))

import ray
from command_line import run_in_process
from exeunt.sweep.execution import gpu_packing, runner
from exeunt.sweep.execution.gpu_packing import Footprint

FILE = """\
name: sweep{number}
dataset: digits
architectures: [resnet8]
seeds: {seeds}
recipe: {{base: fast, epochs: 1}}
resources: {resources}
methods: {{baseline: {{}}}}
"""
TOO_LARGE, ENDLESS = 100, 101
"""Seeds of trials that need a whole GPU, and more than that."""
FOLDER = Path(sys.argv[1])
NEEDS = Footprint(memory=2**30, capacity=2**35, busy=0.25, most=8)


def record(seed, **facts):
    """Append facts about this worker; return its share of a GPU."""
    share = ray.get_runtime_context().get_assigned_resources().get("GPU", 0)
    facts |= {"visible": os.environ.get("CUDA_VISIBLE_DEVICES"), "share": share}
    with (FOLDER / f"seen-{seed}").open("a") as file:
        file.write(json.dumps(facts) + "\n")
    return share


def train(trial, files, *, device, processes=1, **_):
    """Record the device instead of training."""
    from exeunt.training import OutOfMemoryError
    from exeunt.training.checkpoints import serialized

    share = record(trial.seed, device=device, processes=processes)
    if (trial.seed == TOO_LARGE and share < 1) or trial.seed == ENDLESS:
        raise OutOfMemoryError("out of memory with batch_size 128")
    metrics = {"test/final/top1": 50.0}
    files.write_spec(trial.to_dict())
    files.write_history([{"epoch": 1, "time": 1e9, "seconds": 1.0, **metrics}])
    files.write_weights(serialized({}))
    result = {"state": "done", "key": trial.key, "seconds": 1.0, "metrics": metrics, "environment": {}}
    files.write_result(result)
    return result


def run_trial(config, **where):
    importlib.import_module("exeunt.training").train = train
    importlib.import_module("exeunt.sweep.execution.distributed_launch").train_together = train
    importlib.import_module("exeunt.sweep.execution.worker").run_trial(config, **where)


def probe_in_worker(spec, *_):
    record(spec["seed"], probe=True)
    return NEEDS


class Holder:
    """Another program of the cluster, which uses its GPUs."""

    def ready(self): ...


def swept(resources, seeds):
    """Run one sweep; return its exit status, its output and what its trials were given."""
    path = FOLDER / f"{seeds[0]}.yaml"
    path.write_text(FILE.format(number=seeds[0], seeds=seeds, resources=resources))
    answer = run_in_process("sweep", path, "--storage", FOLDER / "storage")
    seen = [line for seed in seeds if (file := FOLDER / f"seen-{seed}").exists() for line in file.open()]
    return {"status": answer.status, "out": answer.out, "err": answer.err, "seen": [json.loads(line) for line in seen]}


if __name__ == "__main__":
    ray.init(address="local", num_cpus=4, num_gpus=2, include_dashboard=False, log_to_driver=False)
    runner.run_trial = run_trial
    real, gpu_packing.probe_in_worker = gpu_packing.probe_in_worker, probe_in_worker
    found = {resources: swept(resources, [seed]) for seed, resources in enumerate(sys.argv[2:])}
    found["out of memory"] = swept("{gpu: 0.3}", [TOO_LARGE, ENDLESS])
    gpu_packing.probe_in_worker = real
    found["no GPU"] = swept("{gpu: auto}", [99])
    gpu_packing.ANSWER_TIMEOUT_S = 1.0
    holder = ray.remote(num_cpus=0, num_gpus=2)(Holder).remote()
    ray.get(holder.ready.remote())
    found["GPUs in use"] = swept("{gpu: auto}", [98])
    ray.shutdown()
    (FOLDER / "found.json").write_text(json.dumps(found))
