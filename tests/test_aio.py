"""The thread with the loop."""

import asyncio
import threading

import pytest

from minijmap.aio import LoopThread, run_apart


def test_work_runs_on_the_loops_thread():
    """A coroutine handed over runs on the thread, and its result or its error comes back."""
    thread = LoopThread("a-name")
    thread.start()

    async def name():
        return threading.current_thread().name

    async def fail():
        raise LookupError("no")

    assert thread.call(name()) == "a-name"
    with pytest.raises(LookupError, match="no"):
        thread.call(fail())
    thread.stop()


def test_stop_cancels_what_still_runs():
    """Whatever is left on the loop is cancelled and may clean up before the loop closes."""
    thread = LoopThread()
    thread.start()
    cleaned = []

    async def wait():
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.append(True)

    async def begin():
        task = asyncio.ensure_future(wait())
        await asyncio.sleep(0)
        return task

    task = thread.call(begin())
    thread.stop()
    thread.stop()
    assert cleaned == [True]
    assert task.cancelled()
    assert thread.loop.is_closed()


def test_stop_without_start():
    """A thread that was never started is closed like any other."""
    thread = LoopThread()
    thread.stop()
    assert thread.loop.is_closed()


def test_a_job_apart():
    """It runs on a thread of its own that keeps no process from ending, and its result or its error comes back."""
    thread = LoopThread()
    thread.start()

    def job(value):
        if value is None:
            raise LookupError("no")
        return value, threading.current_thread().daemon

    assert thread.call(run_apart(job, 7)) == (7, True)
    with pytest.raises(LookupError, match="no"):
        thread.call(run_apart(job, None))
    thread.stop()


def test_a_job_apart_that_nobody_waits_for():
    """The loop may end first."""
    thread = LoopThread()
    thread.start()
    begun, go, ended = threading.Event(), threading.Event(), threading.Event()

    def job():
        begun.set()
        go.wait(10)
        ended.set()

    asyncio.run_coroutine_threadsafe(run_apart(job), thread.loop)
    assert begun.wait(10)
    thread.stop()
    go.set()
    assert ended.wait(10)
