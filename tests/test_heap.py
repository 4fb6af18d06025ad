"""The C library's heap: large blocks are the system's again once they are freed."""

import subprocess
import sys

import pytest

from minijmap import heap

PROGRAM = """
import resource, sys
from minijmap import heap
if sys.argv[1] == "set":
    assert heap.give_back()
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()
before, small = resident(), []
for number in range(12):
    blocks = [bytearray(b"x") * (8 << 20) for _ in range(4)]
    small.append(bytearray(b"y") * 4000)  # what lies behind a freed block keeps it from being cut off
    while blocks:
        blocks.pop()
        small.append(bytearray(b"y") * 4000)
print(resident() - before)
"""


def grown(how):
    """By how many octets a process has grown that has freed every large block it had."""
    return int(subprocess.run([sys.executable, "-c", PROGRAM, how], capture_output=True, check=True).stdout)


@pytest.mark.skipif(not heap.give_back(), reason="this C library's malloc has no mallopt")
def test_large_blocks_are_given_back():
    """What a large upload took is free again, although small blocks were made meanwhile."""
    assert grown("set") < 2 << 20
