import io
from types import SimpleNamespace

import pytest
from exeunt.losses import Baseline
from exeunt.models import ArchitectureSpec
from exeunt.sweep.planning.cost import Costs
from exeunt.sweep.planning.plan import single
from exeunt.sweep.terminal import progress as module
from exeunt.sweep.terminal.progress import ROWS, LiveBoard, PlainBoard, make_board
from exeunt.training import DatasetSpec, Recipe, TrialSpec
from rich.console import Console

COSTS = Costs()


def planned(seed):
    spec = TrialSpec(
        dataset=DatasetSpec(name="digits"),
        architecture=ArchitectureSpec(name="resnet8"),
        method=Baseline(),
        recipe=Recipe(epochs=10, milestones=()),
        seed=seed,
    )
    return single(spec, COSTS, "result", order=seed)


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
    return {"epoch": epoch, "epochs": 10, "seconds": 1.0, **measured}


def test_a_terminal_gets_a_drawing_and_a_log_gets_lines(plain, live):
    assert isinstance(plain, PlainBoard)
    assert isinstance(live, LiveBoard)


def test_a_terminal_shows_what_the_sweep_waits_for_until_a_trial_starts(live):
    live.wait_for("Ray to start")
    assert "Waiting for Ray to start ..." in live.console.file.getvalue()
    assert "trials" not in live.console.file.getvalue(), "the bar is not drawn yet"
    live.wait_for("the first worker")
    assert not live.begun
    live.start(FIRST)
    assert live.begun
    live.close()
    said = live.console.file.getvalue()
    assert "Waiting for the first worker ..." in said
    assert "1 done, 1 running" in said.rpartition("Waiting for")[2]


def test_a_log_says_nothing_about_a_quick_start(plain):
    plain.wait_for("Ray to start")
    plain.start(FIRST)
    assert lines(plain) == ["start  baseline, resnet8, digits, seed 0"]


def test_every_end_is_a_line_with_its_reason_and_the_state_of_the_sweep(plain):
    for key in (FIRST, SECOND, THIRD):
        plain.start(key)
    plain.end(FIRST, seconds=75)
    plain.end(SECOND, problem="out of memory")
    plain.prune(THIRD, "stopped by asha after epoch 3 of 10")
    plain.pause(FOURTH, "worker died; next attempt in 2 s")
    name = "baseline, resnet8, digits, seed"
    assert lines(plain)[3:] == [
        f"done   {name} 0 in 1 min 15 s (2 done, 2 running, 1 waiting, 0 failed; time left: unknown)",
        f"FAILED {name} 1: out of memory (2 done, 1 running, 1 waiting, 1 failed; time left: unknown)",
        f"pruned {name} 2: stopped by asha after epoch 3 of 10 "
        "(2 done, 0 running, 1 waiting, 1 failed, 1 pruned; time left: unknown)",
        f"retry  {name} 3: worker died; next attempt in 2 s",
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


class TestSearch:
    """Trials of a search: the settings of each are known only when it starts."""

    LIKE = planned(99)

    def test_those_announced_count_from_the_beginning(self, plain):
        plain.add_expected(self.LIKE, 3)
        assert plain.counts == "1 done, 0 running, 7 waiting, 0 failed"
        assert plain.unfinished == 4 + 3

    def test_one_that_is_known_at_last_is_one_of_them(self, plain):
        plain.add_expected(self.LIKE, 3)
        plain.expect(planned(50), instead_of=self.LIKE)
        assert (plain.total, plain.coming, plain.unfinished) == (8, 2, 7)
        plain.start(planned(50).key)
        plain.end(planned(50).key, seconds=1)
        assert plain.counts == "2 done, 0 running, 6 waiting, 0 failed"
        assert plain.unfinished == 6

    def test_one_that_need_not_run_is_done(self, plain):
        plain.add_expected(self.LIKE, 2)
        plain.skip_expected(self.LIKE)
        plain.skip_expected(self.LIKE)
        assert (plain.total, plain.coming, plain.unfinished) == (7, 0, 4)
        assert plain.counts == "3 done, 0 running, 4 waiting, 0 failed"

    def test_where_a_budget_is_in_hours_the_total_grows(self, plain):
        plain.expect(planned(50), instead_of=self.LIKE)
        plain.skip_expected(self.LIKE)
        assert (plain.total, plain.coming, plain.unfinished) == (7, 0, 5)
        assert plain.counts == "2 done, 0 running, 5 waiting, 0 failed"

    def test_the_bar_of_a_terminal_moves_with_them(self, live):
        live.add_expected(self.LIKE, 3)
        for seed in (50, 51):
            live.expect(planned(seed), instead_of=self.LIKE)
            live.start(planned(seed).key)
            live.end(planned(seed).key, seconds=1)
        live.skip_expected(self.LIKE)
        live.refresh()
        assert "4/8 trials" in drawn(live)
        assert "4 done, 0 running, 4 waiting, 0 failed" in drawn(live)

    def test_the_time_left_counts_them(self, plain):
        plain.add_expected(self.LIKE, 2)
        plain.start(FIRST)
        plain.advance(FIRST, record(1, seconds=60))
        assert plain.time_left == "about 59 min 0 s left", "9 + 3 * 10 + 2 * 10 epochs"
        plain.skip_expected(self.LIKE)
        assert plain.time_left == "about 49 min 0 s left"
        plain.expect(planned(50), instead_of=self.LIKE)
        assert plain.time_left == "about 49 min 0 s left"
