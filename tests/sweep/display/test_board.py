import io
from types import SimpleNamespace

import pytest
from exeunt.losses import Baseline
from exeunt.models import ArchitectureSpec
from exeunt.sweep.display import board as module
from exeunt.sweep.display.board import ROWS, LiveBoard, PlainBoard, make_board
from exeunt.sweep.planning.plan import PlannedTrial
from exeunt.training import DatasetSpec, Recipe, TrialSpec
from rich.console import Console


def planned(seed):
    spec = TrialSpec(
        dataset=DatasetSpec(name="digits"),
        architecture=ArchitectureSpec(name="resnet8"),
        method=Baseline(),
        recipe=Recipe(epochs=10, milestones=()),
        seed=seed,
    )
    return PlannedTrial(spec=spec, key=spec.key, role="result", order=seed)


TRIALS = [planned(seed) for seed in range(4)]
FIRST, SECOND, THIRD, FOURTH = (trial.key for trial in TRIALS)


def console(*, terminal):
    return Console(file=io.StringIO(), force_terminal=terminal, width=150, height=50)


@pytest.fixture
def plain():
    return make_board(TRIALS, 1, console(terminal=False))


@pytest.fixture
def live():
    board = make_board(TRIALS, 1, console(terminal=True))
    yield board
    board.close()


def lines(board):
    return board.console.file.getvalue().splitlines()


def drawn(board):
    sheet = console(terminal=False)
    sheet.print(board._draw())
    return sheet.file.getvalue()


def record(epoch, **measured):
    return {"epoch": epoch, "epochs": 10, **measured}


def test_a_terminal_gets_a_drawing_and_a_log_gets_lines(plain, live):
    assert isinstance(plain, PlainBoard)
    assert isinstance(live, LiveBoard)


def test_every_end_is_a_line_with_its_reason_and_the_state_of_the_sweep(plain):
    for key in (FIRST, SECOND, THIRD):
        plain.start(key)
    plain.end(FIRST, seconds=75)
    plain.end(SECOND, problem="out of memory")
    plain.prune(THIRD, "stopped by asha after epoch 3 of 10")
    plain.rest(FOURTH, "its worker died; starts again in 2 s")
    name = "baseline, resnet8, digits, seed"
    assert lines(plain)[3:] == [
        f"done   {name} 0 in 1 min 15 s (2 done, 2 running, 1 waiting, 0 failed; time left: not known yet)",
        f"FAILED {name} 1: out of memory (2 done, 1 running, 1 waiting, 1 failed; time left: not known yet)",
        f"pruned {name} 2: stopped by asha after epoch 3 of 10 "
        "(2 done, 0 running, 1 waiting, 1 failed, 1 pruned; time left: not known yet)",
        f"again  {name} 3: its worker died; starts again in 2 s",
    ]
    assert plain.unfinished == 1


def test_a_log_says_how_it_stands_once_a_quiet_minute(plain, monkeypatch):
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(module.time, "monotonic", lambda: clock.now)
    plain.start(FIRST)
    before = len(lines(plain))
    for epoch in range(1, 9):
        clock.now += 20
        plain.advance(FIRST, record(epoch))
    said = lines(plain)[before:]
    assert len(said) == 2
    assert said[0].startswith("so far 1 done, 1 running, 3 waiting, 0 failed; about ")


@pytest.mark.parametrize(
    ("measured", "shown"),
    [
        ({}, "epoch 3 of 10"),
        ({"train/final/top1": 91.26}, "epoch 3 of 10, 91.3% on training images"),
        ({"train/final/top1": 91.2, "test_by_epoch/final/top1": 80.0}, "epoch 3 of 10, 80.0% on test images"),
        (
            {"train/final/top1": 91.2, "validation/final/top1": 81.0, "test_by_epoch/final/top1": 80.0},
            "epoch 3 of 10, 81.0% on validation images",
        ),
    ],
)
def test_a_running_trial_is_drawn_with_its_epoch_and_accuracy(live, measured, shown):
    live.start(FIRST)
    live.advance(FIRST, record(3, **measured))
    assert f"baseline, resnet8, digits, seed 0  {shown}" in drawn(live)
    assert "1 done, 1 running, 3 waiting, 0 failed; about " in drawn(live)


def test_a_failure_stays_on_the_screen(live):
    live.start(FIRST)
    live.end(FIRST, problem="it broke")
    assert any("FAILED baseline, resnet8, digits, seed 0: it broke" in line for line in lines(live))
    assert "seed 0" not in drawn(live)


def test_of_very_many_running_trials_some_are_drawn():
    board = LiveBoard([planned(seed) for seed in range(ROWS + 7)], 0, console(terminal=True))
    try:
        for key in board.trials:
            board.start(key)
        assert drawn(board).count("starting") == ROWS
        assert "and 7 more" in drawn(board)
    finally:
        board.close()
