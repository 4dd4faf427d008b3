"""Ctrl-C is held while the engine works on a window, and is neither lost nor held for ever."""

import os
import signal
import threading

import pytest

from dataflow.engine.interrupts import held_interrupts


def press_ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_an_interrupt_waits_until_it_is_let_through() -> None:
    done = []

    def interrupted() -> None:
        with held_interrupts() as let_through:
            let_through()
            press_ctrl_c()
            done.append("the window")
            let_through()
            done.append("not reached")

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert done == ["the window"]


def test_an_interrupt_that_nobody_let_through_comes_at_the_end() -> None:
    done = []

    def interrupted() -> None:
        with held_interrupts():
            press_ctrl_c()
            done.append("the last window")

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert done == ["the last window"]


def test_a_second_interrupt_acts_at_once() -> None:
    done = []

    def interrupted() -> None:
        with held_interrupts():
            press_ctrl_c()
            press_ctrl_c()
            done.append("not reached")

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert done == []


def test_an_error_comes_before_an_interrupt_that_was_held() -> None:
    def interrupted_and_failing() -> None:
        with held_interrupts():
            press_ctrl_c()
            raise LookupError

    with pytest.raises(LookupError):
        interrupted_and_failing()


def test_the_usual_handler_is_back_afterwards() -> None:
    before = signal.getsignal(signal.SIGINT)
    with held_interrupts():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before


def test_nothing_changes_in_another_thread() -> None:
    before, seen = signal.getsignal(signal.SIGINT), []

    def work() -> None:
        with held_interrupts() as let_through:
            let_through()
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]
