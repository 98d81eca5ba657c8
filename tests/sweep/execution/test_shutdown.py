import math
import os
import signal
import threading
import time

import pytest
from exeunt.sweep.execution.shutdown import Shutdown, TimeBudgetExceeded


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_noted_and_the_second_ends_at_once(number):
    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    shutdown = Shutdown()
    assert not shutdown.is_requested()
    try:
        with pytest.raises(KeyboardInterrupt), shutdown.on_signals():  # noqa: PT012 (the last line raises)
            os.kill(os.getpid(), number)
            assert shutdown.is_requested()
            assert isinstance(shutdown.outcome(), KeyboardInterrupt)
            os.kill(os.getpid(), number)
        os.kill(os.getpid(), number)  # does not interrupt the cleanup
    finally:
        for each, handler in zip((signal.SIGINT, signal.SIGTERM), before, strict=True):
            signal.signal(each, handler)


def test_what_signals_did_before_they_do_again():
    before = signal.getsignal(signal.SIGINT)
    with Shutdown().on_signals():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before


def test_time_runs_out():
    shutdown = Shutdown(0.05)
    assert not shutdown.is_requested()
    time.sleep(0.06)
    assert shutdown.is_requested()
    assert isinstance(shutdown.outcome(), TimeBudgetExceeded)
    assert not Shutdown(math.inf).is_requested()


def test_ctrl_c_after_the_time_ran_out_is_the_first():
    shutdown = Shutdown(0)
    assert shutdown.is_requested()
    with shutdown.on_signals():
        os.kill(os.getpid(), signal.SIGINT)
    assert isinstance(shutdown.outcome(), KeyboardInterrupt)


def test_a_wait_ends_with_the_time_budget():
    before = signal.getsignal(signal.SIGALRM)
    with pytest.raises(TimeBudgetExceeded), Shutdown(0.05).on_budget():
        threading.Event().wait(5)
    with Shutdown(math.inf).on_budget(), Shutdown(100).on_budget():
        assert signal.getsignal(signal.SIGALRM) is not before
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
