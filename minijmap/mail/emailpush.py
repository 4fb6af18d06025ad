"""EmailPush: what a phone is told of an Email that has arrived (draft-ietf-jmap-emailpush-03 §3, §4).

Owns which Emails count as delivered, how a client's filter and properties apply to them, and what is left out so that
an object fits into a push. Must not know push: who asks gives the limits, and sends it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

from minijmap.jmap.datatype import Scope
from minijmap.jmap.errors import InvalidArguments, UnsupportedFilter
from minijmap.jmap.filtering import FilterCondition, FilterNode, build_filter, parse_filter
from minijmap.jmap.session import Access
from minijmap.jmap.values import ValueProblem
from minijmap.mail import emailget
from minijmap.mail.email import EmailType
from minijmap.mail.ingest import EMAILS
from minijmap.store.database import Reader, Transaction

MOST_EMAILS = 20
"""Emails of one EmailPush."""
KEEP_MILLISECONDS = 2 * 24 * 3600 * 1000
"""For how long an arrival is remembered: a push is tried for a day."""
NORMAL = "normal"


class EmailPushes:
    """Answers what push asks of mail (see `push.emailsource`)."""

    def __init__(self) -> None:
        self._type = EmailType()

    def checked(
        self, reader: Reader, account: int, config: Mapping[str, Any], resolve: Callable[[str], str]
    ) -> dict[str, Any]:
        """Return an EmailPushConfig in normal form. Raises ValueProblem."""
        properties: list[str] = config["properties"]
        wrong = self._type.check_properties(properties)
        if wrong is not None:
            raise ValueProblem(f"names “{wrong[:60]}”, which is no property of an Email", "properties")
        scope = Scope(reader, account, "e", resolve)
        try:
            node = parse_filter(self._type, config.get("filter"), scope)
            build_filter(self._type, node, scope)
        except (InvalidArguments, UnsupportedFilter) as error:
            raise ValueProblem(f"is not a filter of Emails: {error}".rstrip("."), "filter") from None
        return {
            "filter": _filter_json(node),
            "properties": list(dict.fromkeys(properties)),
            "urgency": config.get("urgency", NORMAL),
        }

    def newest(self, reader: Reader, account: int) -> int:
        """Return the key of the last Email that was delivered to an account, 0 if there is none."""
        return int(reader.value("SELECT max(email) FROM email_arrival WHERE account = ?", (account,)) or 0)

    def next(
        self, reader: Reader, access: Access, since: int, config: Mapping[str, Any], most: int
    ) -> tuple[Mapping[str, Any] | None, int]:
        """Return an EmailPush for Emails delivered after `since`, of at most `most` octets, or None.

        With it comes the key of the last Email that was judged. None is judged twice: a message that a filter does not
        match when it arrives is no new message when its reader has moved it (draft §4).
        """
        keys = self._matching(reader, access.account, since, config["filter"])
        if not keys:
            return None, max(since, self.newest(reader, access.account))
        names = config["properties"]
        # Its order is the client's; `fetch` gives some properties only beside others.
        shown = emailget.fetch(reader, access.account, keys, ("id", *names), emailget.BodyArguments())
        found = {int(one["id"][1:]): {name: one[name] for name in names} for one in self._type.plain(shown)}
        push: dict[str, Any] = {
            "@type": "EmailPush",
            "accountId": access.account_id,
            "emails": [],
            "state": str(reader.state(access.account, EMAILS.type_name)),
        }
        room = most - len(orjson.dumps(push))
        emails, upto = _fitting([(key, found[key]) for key in keys if key in found], room)
        return {**push, "emails": emails}, upto

    def _matching(self, reader: Reader, account: int, since: int, wanted: Any) -> list[int]:
        """Return the first Emails delivered since that a filter matches, as they now are."""
        scope = Scope(reader, account, "e")
        condition = build_filter(self._type, parse_filter(self._type, wanted, scope), scope)
        rows = reader.all(
            "SELECT e.key FROM email_arrival AS a CROSS JOIN email AS e ON e.key = a.email "
            f"WHERE a.account = ? AND a.email > ? AND {condition.sql} ORDER BY a.email LIMIT {MOST_EMAILS}",
            (account, since, *condition.parameters),
        )
        return [key for (key,) in rows]


def forget_old(tx: Transaction) -> None:
    """Forget arrivals of which nobody will be told any more."""
    tx.execute("DELETE FROM email_arrival WHERE at < ?", (int(tx.clock() * 1000) - KEEP_MILLISECONDS,))


def _fitting(emails: Sequence[tuple[int, dict[str, Any]]], room: int) -> tuple[list[dict[str, Any]], int]:
    """Return as many Emails as fit, whole; of the first one, what fits of it (draft §3, emails)."""
    first, email = emails[0]
    shown: dict[str, Any] = {}
    used = 2
    for name, value in email.items():
        size = len(orjson.dumps({name: value})) - 1  # its braces, but with a comma
        if used + size <= room:
            shown[name] = value
            used += size
    taken, upto = [shown], first
    if len(shown) == len(email):
        for key, another in emails[1:]:
            used += len(orjson.dumps(another)) + 1
            if used > room:
                break
            taken.append(another)
            upto = key
    return taken, upto


def _filter_json(node: FilterNode | None) -> Any:
    """Return a checked filter as it stands on the wire."""
    if node is None:
        return None
    if isinstance(node, FilterCondition):
        return dict(node.values)
    return {"operator": node.operator, "conditions": [_filter_json(one) for one in node.conditions]}
