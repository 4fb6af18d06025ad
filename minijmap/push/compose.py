"""What is pushed next to a subscription: the verification, an EmailPush, or a StateChange that says what is new.

A message is the difference between what there is and what the client has been told; it fits into one push, and what
does not fit is in the next one. Must not know how it is sent.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from minijmap.jmap.session import Access
from minijmap.push import p256
from minijmap.push.emailsource import EmailSource
from minijmap.push.states import state_change
from minijmap.push.subscriptions import NEW, Pushed, Subscription
from minijmap.push.webpush import MOST_BODY, MOST_PLAINTEXT
from minijmap.store.database import Changes, Reader

HOUR = 3600
VERIFICATION_TTL, STATES_TTL, EMAILS_TTL = 24 * HOUR, 7 * 24 * HOUR, 24 * HOUR
"""For how many seconds the push service keeps it for a device that is off (RFC 8030 §5.2)."""
TOPIC_CHARACTERS = 32


@dataclass(frozen=True)
class Message:
    """What to push: the body as JSON, for how long (seconds) and how urgent it is, and what the client then knows."""

    body: bytes
    ttl: int
    urgency: str
    topic: str | None = None
    told: Pushed = field(default_factory=Pushed)
    is_verification: bool = False


@dataclass(frozen=True)
class Composed:
    """What to push now, or None when the client knows everything; and the mail that it need not hear of.

    `judged` is the key of the last Email that was looked at in each account where no new one is to be pushed.
    """

    message: Message | None
    judged: Mapping[int, int] = field(default_factory=dict)


def compose(
    reader: Reader, emails: EmailSource | None, subscription: Subscription, accounts: Sequence[Access], newest: Changes
) -> Composed:
    """Find out what to push now; `newest` are the states there are. Mail comes first: a notification waits for it."""
    if subscription.phase == NEW:
        return Composed(_verification(subscription))
    found = _emails(reader, emails, subscription, accounts)
    return found if found.message is not None else Composed(_states(subscription, accounts, newest), found.judged)


def _most(subscription: Subscription) -> int:
    return MOST_BODY if subscription.keys is None else MOST_PLAINTEXT


def _verification(subscription: Subscription) -> Message:
    """Return the PushVerification (RFC 8620 §7.2.2). Somebody is holding the device, and waits."""
    push = {
        "@type": "PushVerification",
        "pushSubscriptionId": subscription.subscription_id,
        "verificationCode": subscription.code,
    }
    return Message(orjson.dumps(push), VERIFICATION_TTL, "high", is_verification=True)


def _emails(
    reader: Reader, emails: EmailSource | None, subscription: Subscription, accounts: Sequence[Access]
) -> Composed:
    """Compose an EmailPush (draft-ietf-jmap-emailpush-03 §3), if there is new mail that the client wants to hear of."""
    judged: dict[int, int] = {}
    for access in accounts:
        config = subscription.email_push.get(access.account_id)
        if config is None or emails is None:
            continue
        since = subscription.pushed.emails.get(access.account, 0)
        push, upto = emails.next(reader, access, since, config, _most(subscription))
        if push is not None:
            told = Pushed(emails={access.account: upto})
            return Composed(Message(orjson.dumps(push), EMAILS_TTL, config["urgency"], told=told), judged)
        if upto > since:
            judged[access.account] = upto
    return Composed(None, judged)


def _states(subscription: Subscription, accounts: Sequence[Access], newest: Changes) -> Message | None:
    """Return a StateChange (RFC 8620 §7.1) of what the client does not know yet, or of as much of it as fits."""
    pending = [
        (access.account, name, modseq)
        for access in accounts
        for name, modseq in newest.get(access.account, {}).items()
        if modseq > subscription.pushed.states.get(access.account, {}).get(name, 0)
        and (subscription.types is None or name in subscription.types)
    ]
    count, most = len(pending), _most(subscription)
    while count:
        told = _changes(pending[:count])
        body = orjson.dumps(state_change(accounts, told))
        if len(body) <= most:
            topic = _topic(subscription, told)
            return Message(body, STATES_TTL, "normal", topic, told=Pushed(states=told))
        count = count * most // len(body)
    return None


def _changes(pending: Sequence[tuple[int, str, int]]) -> Changes:
    changes: Changes = {}
    for account, name, modseq in pending:
        changes.setdefault(account, {})[name] = modseq
    return changes


def _topic(subscription: Subscription, told: Mapping[int, Mapping[str, Any]]) -> str:
    """Return a topic (RFC 8030 §5.4): of two messages that wait for a device, the later replaces the earlier.

    So they have the same topic only if they name the same types, whose newer states make the older ones worthless. The
    subscription's secret hides from the push service which types these are.
    """
    named = orjson.dumps(sorted((account, sorted(types)) for account, types in told.items()))
    return p256.encode(hashlib.sha256(subscription.code.encode() + named).digest())[:TOPIC_CHARACTERS]
