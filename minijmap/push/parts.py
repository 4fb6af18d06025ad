"""What the parts of push share: the type that clients see, and the sender."""

from collections.abc import Callable
from dataclasses import dataclass, field

from minijmap.push.emailsource import EmailSource
from minijmap.push.vapid import Announced


def _nobody() -> None:
    """Where nothing is sent, nobody waits for it."""


@dataclass
class PushParts:
    """Put together once for a server: `private` allows http and private networks, `on_change` wakes the sender."""

    emails: EmailSource | None = None
    private: bool = False
    announced: Announced = field(default_factory=Announced)
    on_change: Callable[[], None] = _nobody
