"""Optuna's dashboard opens the journal of a search that Exeunt wrote."""

import json
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from exeunt.store.trial_store import Store
from exeunt.sweep.planning.sweep_file import read_sweep
from exeunt.sweep.search import Studies
from exeunt.sweep.search.studies import JOURNAL

pytestmark = pytest.mark.slow

PATIENCE = 120
"""Seconds in which a server must start."""
FILE = """\
name: shown
dataset: digits
architectures: [resnet8]
seeds: [0]
recipe: {base: fast, epochs: 1}
methods: {dks: {exits: all}, eed: {exits: all, output_loss: kl}}
search:
  budget: 3
  objective: [%s]
  recipe: {learning_rate: {low: 0.01, high: 0.5, log: true}}
  methods: {eed: {temperature: {low: 1, high: 8}, exits: [all, "1"]}}
"""


@contextmanager
def dashboard(journal: Path, log: Path) -> Iterator[str]:
    """Run a real dashboard on loopback; yield its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = Path(sys.executable).with_name("optuna-dashboard")
    words = [program, journal, "--host", "127.0.0.1", "--port", str(port), "--server", "wsgiref"]
    with log.open("wb") as out:
        process = subprocess.Popen(words, stdout=out, stderr=out)
    try:
        patience = time.monotonic() + PATIENCE
        while not answers(port):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < patience, "the server never answered"
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def ask(address: str, what: str) -> dict:
    with urllib.request.urlopen(f"{address}/api/{what}", timeout=PATIENCE) as answer:
        return json.load(answer)


@pytest.mark.parametrize("objectives", [["final"], ["final", "exit1/multiply_adds"]])
def test_studies_and_their_trials_are_shown(objectives, tmp_path):
    file, store = tmp_path / "search.yaml", Store(tmp_path / "runs")
    file.write_text(FILE % ", ".join(objectives))
    studies = Studies(read_sweep(file), store)
    for number, space in enumerate(studies.search.spaces, start=2):
        for value in range(number):
            trial = studies.ask(space)
            studies.of(space).tell(trial.number, [float(value)] * len(objectives))
    studies.ask(studies.search.spaces[0])  # a running trial
    journal = Path(store.sweep_directory("shown").located(JOURNAL))
    before = journal.read_bytes()
    directions = ["maximize", "minimize"][: len(objectives)]
    numbers = {"dks/resnet8": 3, "eed/resnet8": 3}
    with dashboard(journal, tmp_path / "log") as address:
        listed = ask(address, "studies")["study_summaries"]
        assert [(study["study_name"], study["directions"]) for study in listed] == [
            (studies.name(space), directions) for space in studies.search.spaces
        ]
        for study, space in zip(listed, studies.search.spaces, strict=True):
            detail = ask(address, f"studies/{study['study_id']}?after=0")
            assert (detail["name"], detail["directions"]) == (studies.name(space), directions)
            assert len(detail["trials"]) == numbers[space.name]
            assert detail["objective_names"] == [objective.words for objective in studies.search.objectives]
            assert {param["name"] for param in detail["trials"][0]["params"]} == set(space.ranges)
            assert [param["name"] for param in detail["union_search_space"]], "the ranges are shown"
    assert journal.read_bytes() == before, "the dashboard changed the journal"
