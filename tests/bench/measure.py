"""Takes the samples: one operation over one or several kept-open connections, and SMTP delivery over one."""

import smtplib
import statistics
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from tests.bench.client import Client, refuse
from tests.bench.corpus import Message
from tests.bench.ground import Ground
from tests.bench.operations import Operation, Turn
from tests.bench.report import Timing

WARM_UP, FEWEST = 2, 5


def measure(operation: Operation, ground: Ground, clients: list[Client], seconds: float, most: int) -> Timing:
    """Repeat an operation on every connection at once for so long, at most so often; raises `RefusedError`."""
    for number in range(WARM_UP):
        once(operation, ground, clients[0], Turn(0, number))
    start = Barrier(len(clients))

    def lane(number: int) -> list[float]:
        start.wait()
        end, samples = time.perf_counter() + seconds, list[float]()
        while len(samples) < FEWEST or (len(samples) < most and time.perf_counter() < end):
            samples.append(once(operation, ground, clients[number], Turn(number, WARM_UP + len(samples))))
        return samples

    with ThreadPoolExecutor(len(clients)) as pool:
        samples = sorted(sample for taken in pool.map(lane, range(len(clients))) for sample in taken)
    return Timing(statistics.median(samples), samples[int(len(samples) * 0.95)], len(samples))


def once(operation: Operation, ground: Ground, client: Client, turn: Turn) -> float:
    """One request in milliseconds, from the first octet sent to the last octet read; what it wrote is undone untimed."""
    call = operation.call(client, ground, turn)
    started = time.perf_counter()
    answer = client.send(call)
    taken = time.perf_counter() - started
    refuse(answer)
    if operation.undo:
        refuse(client.send(operation.undo(client, ground, turn, answer)))
    return taken * 1000


def deliver(address: tuple[str, int], recipient: str, messages: Iterable[Message]) -> float:
    """Messages per second by SMTP over one connection kept open; each counts from its 250."""
    batch = [(message.sender, message.crlf()) for message in messages]
    with smtplib.SMTP(*address, timeout=60) as smtp:
        smtp.ehlo("bench.example")
        started = time.perf_counter()
        for sender, content in batch:
            smtp.sendmail(sender, [recipient], content)
        return len(batch) / (time.perf_counter() - started)
