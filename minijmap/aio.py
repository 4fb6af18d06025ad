"""One thread that runs an asyncio loop, for everything here that holds many sockets open at once.

Owns the loop's life: start, work handed over from other threads, stop. Must not know what runs on it (SMTP, streams);
whatever blocks must be sent away from it by its owner.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeVar, TypeVarTuple, Unpack

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")


class LoopThread:
    """A loop with a thread of its own. Started once, stopped once."""

    def __init__(self, name: str = "minijmap-loop") -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the loop, and return or raise what it does. Not to be called on the loop's own thread."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result()

    def stop(self) -> None:
        """Cancel whatever still runs, wait until it has ended, and close the loop."""
        if self._thread.is_alive():
            self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join()
        if not self.loop.is_closed():
            self.loop.close()

    def _run(self) -> None:
        self.loop.run_forever()
        self.loop.run_until_complete(_cancel_all())


async def run_apart(job: Callable[[Unpack[Arguments]], T], *arguments: *Arguments) -> T:
    """Run a job in a thread of its own that nobody waits for at the end; return or raise what it does.

    For what may hang for many seconds and holds nothing: a pool's threads would keep the process from ending.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def work() -> None:
        done: Callable[[], None]
        try:
            result = job(*arguments)
            done = partial(_settle, future, future.set_result, result)
        except BaseException as error:  # noqa: BLE001 - whoever waits for the job is told
            done = partial(_settle, future, future.set_exception, error)
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(done)

    threading.Thread(target=work, name="minijmap-apart", daemon=True).start()
    return await future


def _settle(future: "asyncio.Future[T]", settle: Callable[[Any], None], value: object) -> None:
    if not future.done():
        settle(value)


async def _cancel_all() -> None:
    """End every task but this one."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.get_running_loop().shutdown_asyncgens()
