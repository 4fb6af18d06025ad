"""What is known about a script while it is read: capabilities, variables, limits.

Holds state that lives as long as one compilation. Knows no commands.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from minijmap.sieve.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from minijmap.sieve.table import Extension


@dataclass(slots=True)
class Scope:
    """The state of one compilation."""

    limits: Limits
    extensions: "Mapping[str, Extension]"
    """Every extension there is, by its capability."""
    capabilities: set[str] = field(default_factory=set)
    """What `require` names, and what that implies."""
    runtime: bool = False
    """`ihave` is required: what else is there shows when the script runs (RFC 5463 §4)."""
    tracing: bool = False
    """Functions shall tell what they decide, in Run.trace."""
    globals: set[str] = field(default_factory=set)
    """Variables that `global` has declared so far (RFC 6609 §3.4.1), in lower case."""
    assigned: set[str] = field(default_factory=set)
    """Variables that `set` has set so far."""
    states: int = 0
    """States of all regular expressions so far."""
    started: bool = False
    """A command other than `require` was met (RFC 5228 §3.2)."""
    depth: int = 0
    """How many tests are around."""
    loops: list[str | None] = field(default_factory=list)
    """The names of the loops around (RFC 5703 §3), the innermost last."""

    def has(self, capability: str) -> bool:
        """Whether a capability is required."""
        return capability in self.capabilities

    def may_have(self, capability: str) -> bool:
        """Whether a capability is required, or may be enabled when the script runs."""
        return self.runtime or capability in self.capabilities

    def supports(self, capability: str) -> bool:
        """Whether there is such an extension at all."""
        return capability in self.extensions

    def enabled_by(self, capability: str) -> set[str]:
        """A capability and all that it implies."""
        return {capability, *self.extensions[capability].implies}
