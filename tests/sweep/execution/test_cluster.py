import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ...command_line import Answer
from .ray_cluster import Cluster, children, new_cluster

pytestmark = pytest.mark.slow

FILE = """\
name: far
dataset: digits
architectures: [resnet8]
seeds: [0, 1, 2]
recipe: {base: fast, epochs: 4}
resources: {cpu: 1}
methods: {baseline: {}}
"""
PLUGIN = """\
from exeunt.models import architectures

architectures.register("own8")(architectures["resnet8"])
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Start a cluster of one node with one core, which tests share."""
    with new_cluster() as cluster:
        cluster.start_head(cpus=1)
        yield cluster


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "far.yaml"
    path.write_text(FILE)
    return path


def program(*words: object, environment: dict[str, str]) -> Answer:
    """Run the installed `exeunt` to its end."""
    command = [Path(sys.executable).with_name("exeunt"), *map(str, words)]
    ran = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300, check=False)
    return Answer(ran.returncode, ran.stdout, ran.stderr)


def test_a_cluster_that_wants_another_token_is_one_message(cluster, file, tmp_path):
    sweep = ["sweep", file, "--storage", tmp_path / "runs", "--address", cluster.address]
    answer = program(*sweep, environment=cluster.environment | {"RAY_AUTH_TOKEN": "f" * 64})
    assert answer.status == 2, answer.out + answer.err
    (message,) = answer.err.splitlines()
    assert message.startswith(f"exeunt: --address {cluster.address}: the cluster requires an authentication token")
    assert "RAY_AUTH_TOKEN_PATH" in message


def test_a_plan_names_the_line_whose_resources_no_machine_has(cluster, file, tmp_path):
    plan = ["plan", file, "--storage", tmp_path / "runs", "--address", cluster.address]
    answer = program(*plan, environment=cluster.environment)
    assert answer.status == 0, answer.out + answer.err
    assert answer.err == f"Ray cluster at {cluster.address}: 1 machine, which can run each trial.\n"
    file.write_text(FILE.replace("{cpu: 1}", "{custom: {fast_disk: 1}}"))
    answer = program(*plan, environment=cluster.environment)
    assert answer.status == 2
    (message,) = answer.err.splitlines()
    assert message.startswith(
        f"exeunt: {file}:6: resources.custom: a trial requires fast_disk: 1, but no machine has it;"
    )


@pytest.mark.nightly
def test_the_doctor_sees_a_cluster(cluster, tmp_path):
    environment = cluster.environment | {"COLUMNS": "400"}
    doctor = ["doctor", "--storage", tmp_path / "runs", "--address"]
    answer = program(*doctor, cluster.address, environment=environment)
    assert answer.status == 0, answer.out + answer.err
    assert re.search(rf"ok +Ray +{cluster.address}, Ray \S+ as on this machine, 1 node, 1 CPU, 0 GPUs", answer.out)
    answer = program(*doctor, f"http://127.0.0.1:{cluster.dashboard}", environment=environment)
    assert answer.status == 0, answer.out + answer.err
    assert re.search(rf"ok +Ray +http://127.0.0.1:{cluster.dashboard} accepts jobs", answer.out)
    answer = program(*doctor, cluster.address, environment=environment | {"RAY_AUTH_TOKEN": "f" * 64})
    assert answer.status == 1, answer.out + answer.err
    assert re.search(r"wrong +Ray +--address \S+ the cluster requires an authentication token", answer.out)


def test_a_sweep_is_sent_as_a_job_and_followed(cluster, file, tmp_path):
    dashboard = f"http://127.0.0.1:{cluster.dashboard}"
    environment = cluster.environment | {"MLFLOW_TRACKING_URI": ""}
    file.write_text(FILE.replace("resnet8", "own8"))
    (tmp_path / "own.py").write_text(PLUGIN)
    submit = "submit", file, "--plugin", tmp_path / "own.py", "--address", dashboard, "--storage"
    answer = program(*submit, "runs", environment=environment)
    assert answer.status == 2
    assert "a cluster needs an absolute path that all nodes share" in answer.err
    tracking = "--tracking", f"sqlite:///{tmp_path}/far.db?key=s3cr3t"
    answer = program(*submit, tmp_path / "runs", *tracking, environment=environment)
    assert answer.status == 0, answer.out + answer.err
    assert (tmp_path / "far.db").exists()
    jobs = subprocess.run(
        [Path(sys.executable).with_name("ray"), "job", "list", "--address", dashboard],
        env=environment, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    assert f"--tracking 'sqlite:///{tmp_path}/far.db?***'" in jobs
    assert "s3cr3t" not in jobs + answer.out + answer.err
    assert re.match(r"Submitted as exeunt-far-\w{8}\.", answer.out)
    assert "3 done, 0 running" in answer.out
    assert "baseline" in answer.out.rpartition("3 done")[2], "the table"
    again = program(
        "sweep", file, "--storage", tmp_path / "runs", "--address", f"ray://127.0.0.1:{cluster.client}",
        "--plugin", tmp_path / "own.py", environment=environment,
    )  # fmt: skip
    assert again.status == 0, again.out + again.err
    assert "0 to train" in again.out


def test_a_machine_that_dies_costs_no_trial(cluster, file, tmp_path, exeunt):
    """Also covers a sweep with `--address` and token authentication."""
    second = cluster.join("--num-cpus=1")
    file.write_text(FILE.replace("epochs: 4", "epochs: 10").replace("{cpu: 1}", "{cpu: 1, retries: 0}"))
    log = (tmp_path / "out").open("w")
    words = ["sweep", file, "--storage", tmp_path / "runs", "--address", cluster.address]
    driver = subprocess.Popen(
        [Path(sys.executable).with_name("exeunt"), *map(str, words)],
        stdout=log, stderr=subprocess.STDOUT, env=cluster.environment, start_new_session=True,
    )  # fmt: skip
    try:
        cluster.until(lambda: len({path.parent for path in tmp_path.glob("runs/trials/*/checkpoint-*")}) == 2, driver)
        for pid in children(second.pid):
            os.kill(pid, signal.SIGKILL)
        assert driver.wait(timeout=300) == 0, Path(log.name).read_text()
    finally:
        if driver.poll() is None:
            os.killpg(driver.pid, signal.SIGKILL)
    assert "3 done, 0 running" in Path(log.name).read_text()
    attempts = [len(list(path.parent.glob("attempt-*"))) for path in tmp_path.glob("runs/trials/*/result.json")]
    assert sorted(attempts) == [1, 1, 2]
    undisturbed = exeunt("sweep", file, "--storage", tmp_path / "undisturbed")
    assert undisturbed.status == 0
    table = "sweeps/far/table.csv"
    assert (tmp_path / "runs" / table).read_bytes() == (tmp_path / "undisturbed" / table).read_bytes()
