"""The script for Slurm, with programs of Slurm and Ray that write down how they were called."""

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "deploy" / "slurm.sh"
PROGRAMS = {
    "srun": 'echo "srun $*" >> "$CALLS"',
    "ray": 'echo "ray $*" >> "$CALLS"',
    "exeunt": 'echo "exeunt $*" >> "$CALLS"; exit "${SWEEP_STATUS:-0}"',
    "scontrol": 'printf "%s\\n" one two three',
}


@pytest.fixture
def calls(tmp_path):
    """Function that runs the script with these variables of Slurm, and returns the calls of the programs."""
    for name, line in PROGRAMS.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{line}\n")
        (tmp_path / name).chmod(0o755)

    def run(expected=0, **variables):
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM", "SRUN"))}
        environment = kept | variables | {
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "CALLS": str(tmp_path / "calls"),
            "SLURM_JOB_ID": "12",
            "SLURM_JOB_NODELIST": "some",
        }  # fmt: skip
        command = ["bash", SCRIPT, "FILE", "--storage", "DIR"]
        ran = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert ran.returncode == expected, ran.stderr
        return sorted((tmp_path / "calls").read_text().splitlines())

    return run


def test_each_step_gets_all_cores_and_gpus_of_its_node(calls):
    found = calls(SLURM_CPUS_PER_TASK="64", SLURM_GPUS_ON_NODE="8")
    ray = "--ntasks-per-node=1 --cpus-per-task=64 --gpus-per-node=8 ray start --num-cpus=64 --num-gpus=8"
    assert found == [
        "exeunt sweep FILE --storage DIR --address one:20012",
        "ray health-check --address one:20012",
        f"srun --nodes=1 --nodelist=one {ray} --disable-usage-stats --block --head --port=20012",
        f"srun --nodes=2 --nodelist=two,three {ray} --disable-usage-stats --block --address=one:20012",
    ]


def test_without_cpus_per_task_a_step_gets_the_cores_of_its_node(calls):
    *_, head = calls(SLURM_CPUS_ON_NODE="16")
    assert "--cpus-per-task=16 ray start --num-cpus=16 --num-gpus=0" in head


def test_the_status_is_that_of_the_sweep_and_the_token_is_removed(calls, tmp_path):
    calls(expected=2, SWEEP_STATUS="2")
    assert not list(tmp_path.glob(".ray-token-*"))
