import math
import os
import signal
import time

import pytest
from exeunt.sweep.running.halt import Halt, OutOfTime


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_noted_and_the_second_ends_at_once(number):
    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    halt = Halt()
    assert not halt.wanted()
    try:
        with pytest.raises(KeyboardInterrupt), halt.heeding_signals():  # noqa: PT012 (the last line raises)
            os.kill(os.getpid(), number)
            assert halt.wanted()
            assert isinstance(halt.outcome(), KeyboardInterrupt)
            os.kill(os.getpid(), number)
        os.kill(os.getpid(), number)  # what is being cleaned up is not disturbed
    finally:
        for each, handler in zip((signal.SIGINT, signal.SIGTERM), before, strict=True):
            signal.signal(each, handler)


def test_what_signals_did_before_they_do_again():
    before = signal.getsignal(signal.SIGINT)
    with Halt().heeding_signals():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before


def test_time_runs_out():
    halt = Halt(0.05)
    assert not halt.wanted()
    time.sleep(0.06)
    assert halt.wanted()
    assert isinstance(halt.outcome(), OutOfTime)
    assert not Halt(math.inf).wanted()


def test_ctrl_c_after_the_time_ran_out_is_the_first():
    halt = Halt(0)
    assert halt.wanted()
    with halt.heeding_signals():
        os.kill(os.getpid(), signal.SIGINT)
    assert isinstance(halt.outcome(), KeyboardInterrupt)
