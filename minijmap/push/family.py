"""What push brings to the engine: PushSubscription, the capabilities of VAPID and EmailPush, their tables."""

from minijmap.jmap.methods import Family
from minijmap.jmap.session import Capability
from minijmap.push.emailsource import EMAIL_PUSH
from minijmap.push.parts import PushParts
from minijmap.push.schema import PUSH_MIGRATIONS
from minijmap.push.subscription import PushSubscriptionType


def family(parts: PushParts) -> Family:
    """Return the family. EmailPush is offered where there is mail (draft-ietf-jmap-emailpush-03 §2.1)."""
    email_push = [] if parts.emails is None else [Capability(EMAIL_PUSH, {}, lambda _: {})]
    return Family(
        capabilities=(parts.announced.capability(), *email_push),
        types=(PushSubscriptionType(parts),),
        migrations=PUSH_MIGRATIONS,
        open=parts.announced.open,
    )
