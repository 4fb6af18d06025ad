"""Every limit of the Sieve language, at one place (RFC 5228 §2.10.4 and §2.10.7, RFC 5229 §6, RFC 6609 §3.1).

Holds numbers alone. What is too large when a script is read is a ScriptError, what grows too large when it runs a
RunError; only a variable is cut instead (RFC 5229 §6 asks for that).
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """What a script may use. Sizes are in octets where they say so, in characters otherwise; times in seconds."""

    script_size: int = 262_144
    """Octets of one script."""
    nesting: int = 32
    """Blocks inside of each other, and tests inside of each other; RFC 5228 §2.10.7 asks for 15."""
    commands: int = 20_000
    """Commands and tests of one script."""
    strings: int = 20_000
    """Strings of one script."""
    arguments: int = 64
    """Arguments of one command."""
    expansion: int = 262_144
    """Characters of one string, or of the strings of one list together, after variables were put in."""
    variables: int = 256
    """Variables of one script that have a value, and global ones; RFC 5229 §6 asks for 128."""
    variable_name: int = 64
    """Characters of a variable's name; RFC 5229 §6 asks for 32."""
    variable_length: int = 16_384
    """Characters of a variable's value; RFC 5229 §6 asks for 4,000, and that more is cut off."""
    match_variables: int = 99
    """The highest index of a match variable; RFC 5229 §6 asks for 9."""
    regex: int = 4_000
    """Characters of one regular expression, and states of its automaton."""
    expressions: int = 100_000
    """States of all regular expressions of one script together."""
    steps: int = 100_000
    """Commands that one run executes, those of included scripts and loops counted each time."""
    seconds: float = 1.0
    """Wall time of one run, and of all runs that one message takes in an account: nobody else can write meanwhile."""
    actions: int = 100
    """Actions that one run decides on."""
    redirects: int = 10
    """Different addresses that one run redirects to."""
    include_depth: int = 10
    """Scripts inside of each other, the first one counted; RFC 6609 §3.1 asks for 3."""
    includes: int = 100
    """Scripts that one run includes in all."""
    flags: int = 100
    """Flags of one message or flag variable; more are left out."""
    trace: int = 10_000
    """Lines that a run tells of its decisions; more are left out."""


LIMITS = Limits()
"""What every household gets."""
