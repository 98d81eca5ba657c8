"""One network trained by two machines of a Ray cluster, which are process groups on this machine."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import ray  # noqa: F401 (it adds psutil to the path)
from exeunt.store import TrialFiles

import psutil  # isort: skip  # pyright: ignore[reportMissingModuleSource]

from .ray_cluster import new_cluster

pytestmark = [pytest.mark.slow, pytest.mark.nightly]

FILE = """\
name: wide
dataset: digits
architectures: [resnet8]
seeds: [0]
recipe: {base: fast, epochs: 12, batch_size: 512}
resources: RESOURCES
methods: {baseline: {}}
"""
GONE_AFTER_S = 30.0
"""Seconds in which the processes of a dead machine end."""


class Sweep:
    """Command `exeunt sweep` on a cluster, in its own directory."""

    def __init__(self, cluster, folder, resources):
        folder.mkdir()
        self.folder = folder
        (folder / "wide.yaml").write_text(FILE.replace("RESOURCES", resources))
        words = ["sweep", folder / "wide.yaml", "--storage", folder / "runs", "--address", cluster.address]
        with (folder / "out").open("w") as log:
            self.process = subprocess.Popen(
                [Path(sys.executable).with_name("exeunt"), *map(str, words)],
                stdout=log, stderr=subprocess.STDOUT, env=cluster.environment, start_new_session=True,
            )  # fmt: skip

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)

    @property
    def out(self):
        return (self.folder / "out").read_text()

    def files(self, name):
        return list(self.folder.glob(f"runs/trials/*/{name}"))

    def finish(self):
        """Return the result and the history of its trial."""
        assert self.process.wait(timeout=300) == 0, self.out
        (path,) = self.files("result.json")
        files = TrialFiles(path.parent)
        return files.result(), files.history()


def members(machine):
    """Return the processes of a machine that train, with the worker that started them."""
    found = []
    for process in psutil.Process(machine.pid).children(recursive=True):
        words = " ".join(process.cmdline())
        if "spawn_main" in words or "TrialWorker" in words or "OtherMachine" in words:
            found.append(process)
    return found


def is_second(machine):
    """Return True if a machine has other processes than those of rank 0."""
    return any("OtherMachine" in " ".join(process.cmdline()) for process in members(machine))


@pytest.mark.usefixtures("all_cores")
@pytest.mark.parametrize("loses_first", [False, True])
def test_two_machines_train_as_one_and_survive_the_death_of_one(tmp_path, loses_first):
    with new_cluster() as cluster:
        cluster.start_head(cpus=0, dashboard=False)
        first, second = cluster.join("--num-cpus=4"), cluster.join("--num-cpus=4")
        with Sweep(cluster, tmp_path / "one", "{processes: 4}") as sweep:
            alone, expected = sweep.finish()
        with Sweep(cluster, tmp_path / "two", "{nodes: 2, processes: 4, retries: 0}") as sweep:
            cluster.until(lambda: sweep.files("checkpoint-*"), sweep.process)
            if is_second(first) != loses_first:
                first, second = second, first
            trained = [*members(first), *members(second)]
            reached = max(int(path.name.split("-")[1]) for path in sweep.files("checkpoint-*"))
            assert reached >= 1
            assert [len(members(machine)) for machine in (first, second)] == [3, 3]
            for process in psutil.Process(second.pid).children():
                process.kill()
            _, alive = psutil.wait_procs(trained, timeout=GONE_AFTER_S)
            assert not [process for process in alive if "spawn_main" in " ".join(process.cmdline())]
            cluster.until(lambda: "node failed; next attempt in" in sweep.out, sweep.process)
            time.sleep(3)
            assert sweep.process.poll() is None, "it waits for a machine"
            third = cluster.join("--num-cpus=4")
            result, history = sweep.finish()
        assert not [*members(first), *members(third)]
    losses, expected_losses = ([record["train/loss/label"] for record in epochs] for epochs in (history, expected))
    assert losses[:reached] == expected_losses[:reached]
    assert losses == pytest.approx(expected_losses, rel=0.02)  # after a restart, four processes add in another order
    assert len(losses) == 12
    assert result["environment"]["processes"] == alone["environment"]["processes"] == 4
    assert len(sweep.files("attempt-*")) == 2
