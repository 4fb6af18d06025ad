"""The PushSubscription type (RFC 8620 §7.2), with the property of draft-ietf-jmap-emailpush-03 §4.

Owns what a client may ask for: URL, keys, types, expiry, how many subscriptions there may be and how fast they are
made. A subscription belongs to the credential that made it; its URL and keys are never shown. Must not know how pushes
are sent.
"""

import hmac
import secrets
from collections import deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import orjson

from minijmap.jmap import dates
from minijmap.jmap.datatype import DataType, Fetched, Property, SetContext
from minijmap.jmap.errors import Forbidden, SetError, invalid_properties
from minijmap.jmap.session import CORE
from minijmap.jmap.values import (
    Anything,
    Id,
    Kind,
    ListOf,
    MapOf,
    Nullable,
    Record,
    String,
    UTCDate,
    ValueProblem,
)
from minijmap.push import endpoint, p256, subscriptions
from minijmap.push.emailsource import EMAIL_PUSH
from minijmap.push.parts import PushParts
from minijmap.push.subscriptions import NEW, PREFIX, VERIFIED, Pushed
from minijmap.push.webpush import AUTH_OCTETS
from minijmap.store.database import Reader, Transaction
from minijmap.store.documents import Collection

if TYPE_CHECKING:
    from minijmap.jmap.call import Call
    from minijmap.jmap.session import Access
    from minijmap.jmap.setting import Outcome

LONGEST_LIFE = 30 * 24 * 3600 * 1000
"""Milliseconds; at least 48 hours, and a week would be well (RFC 8620 §7.2)."""
MOST_OF_CREDENTIAL, MOST_OF_USER = 100, 300
MOST_CREATED, CREATED_SECONDS = 200, 3600.0
"""How many a user may make in so long a time (RFC 8620 §8.6)."""
MOST_DEVICE_ID = 1024
MOST_TYPES, MOST_TYPE = 500, 255
MOST_EMAIL_PROPERTIES, MOST_EMAIL_PROPERTY = 100, 1000
MOST_CONFIG_OCTETS = 64 * 1024
URGENCIES = frozenset(("very-low", "low", "normal", "high"))  # RFC 8030 §5.3
SECRET = ("url", "keys")
"""RFC 8620 §7.2.1: they are not returned, and to ask for them is forbidden."""

_EXPIRES = "'\"' || strftime('%Y-%m-%dT%H:%M:%SZ', t.expires / 1000, 'unixepoch') || '\"'"
_CODE = f"CASE t.phase WHEN '{VERIFIED}' THEN json_quote(t.code) END"


class _PublicKey(Kind):
    """A client's public key: an uncompressed point of P-256 in base64url (RFC 8291 §2.1)."""

    name = "an uncompressed point of the curve P-256 in base64url"

    def check(self, value: Any) -> str:
        """Return it without padding."""
        octets = _octets(self.name, value)
        if not p256.is_public_key(octets):  # RFC 8291 §7
            raise ValueProblem(f"must be {self.name}")
        return p256.encode(octets)


class _Auth(Kind):
    """A client's authentication secret (RFC 8291 §3.2)."""

    name = f"{AUTH_OCTETS} octets in base64url"

    def check(self, value: Any) -> str:
        """Return it without padding."""
        octets = _octets(self.name, value)
        if len(octets) != AUTH_OCTETS:
            raise ValueProblem(f"must be {self.name}")
        return p256.encode(octets)


def _octets(what: str, value: Any) -> bytes:
    try:
        return p256.decode(String(most_octets=255).check(value))
    except ValueError:
        raise ValueProblem(f"must be {what}") from None


CLIENT_KEYS = Record({"p256dh": _PublicKey(), "auth": _Auth()}, frozenset(("p256dh", "auth")), closed=False)
EMAIL_PUSH_CONFIG = Record(
    {
        "filter": Anything(),
        "properties": ListOf(String(1, MOST_EMAIL_PROPERTY), most=MOST_EMAIL_PROPERTIES),
        "urgency": String(choices=URGENCIES),
    },
    frozenset(("properties",)),
)


class PushSubscriptionType(DataType):
    """PushSubscription, as a table."""

    name = "PushSubscription"
    capability = CORE
    prefix = PREFIX
    collection = Collection("push_subscription", "PushSubscription", owner="credential")
    of_credential = True
    verbs = ("get", "set")
    properties = {
        "id": Property(Id(), immutable=True, server_set=True),
        "deviceClientId": Property(String(1, MOST_DEVICE_ID), immutable=True),
        "url": Property(String(most_octets=endpoint.MOST_URL), immutable=True, column="json_quote(t.url)"),
        "keys": Property(Nullable(CLIENT_KEYS), default=None, immutable=True, column="t.keys"),
        "verificationCode": Property(Nullable(String(most_octets=255)), default=None, column=_CODE),
        "expires": Property(Nullable(UTCDate()), default=None, column=_EXPIRES),
        "types": Property(Nullable(ListOf(String(1, MOST_TYPE), most=MOST_TYPES)), default=None),
        "emailPush": Property(Nullable(MapOf(Id(), EMAIL_PUSH_CONFIG, most=1000)), default=None),
    }

    def __init__(self, parts: PushParts) -> None:
        self._parts = parts
        self._made: dict[int, deque[float]] = {}
        """When each user has made the last ones; touched on the writer's thread alone."""

    # /get

    def default_properties(self) -> Sequence[str]:
        """Return what is shown: all but what is private to a device (RFC 8620 §7.2.1)."""
        return tuple(name for name in self.properties if name not in SECRET)

    def check_properties(self, names: Sequence[str]) -> str | None:
        """Return the first name that is no property. Raises Forbidden for the private ones (RFC 8620 §7.2.1)."""
        secret = next((name for name in names if name in SECRET), None)
        if secret is not None:
            raise Forbidden(f"The property “{secret}” is never shown.")
        return super().check_properties(names)

    def fetch(
        self,
        call: "Call",
        access: "Access",
        keys: Sequence[int] | None,
        names: Sequence[str],
        arguments: Mapping[str, Any],
    ) -> Fetched:
        """Read subscriptions that have not expired."""
        reader = call.reader()
        rows = reader.all(
            "SELECT key FROM push_subscription WHERE credential = ? AND expires > ? ORDER BY key",
            (access.account, call.now()),
        )
        living = [key for (key,) in rows]
        wanted = living if keys is None else [key for key in keys if key in set(living)]
        if arguments["properties"] is None and EMAIL_PUSH not in call.using:
            # RFC 8620 §3.3: an extension that is not asked for does not exist.
            names = [name for name in names if name != "emailPush"]
        return self.read(reader, access.account, wanted, names)

    # /set

    def created_properties(self) -> Sequence[str]:
        """Return what the answer to a create may hold; what is private is not in it."""
        return ("id", "verificationCode", "expires", "types")

    def load(self, tx: Transaction, account: int, key: int) -> dict[str, Any] | None:
        """Return a subscription whole, or None once it has expired."""
        if not tx.value("SELECT 1 FROM push_subscription WHERE key = ? AND expires > ?", (key, _now(tx))):
            return None
        return super().load(tx, account, key)

    def create(self, context: SetContext, wanted: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Store a new subscription. Its verification is pushed right after the commit (RFC 8620 §7.2.2)."""
        tx, user = context.tx, context.call.login.user.key
        if wanted["verificationCode"] is not None:
            raise invalid_properties("“verificationCode” is null until the code has been pushed.", "verificationCode")
        try:
            endpoint.parse(wanted["url"], private=self._parts.private)
        except endpoint.Unfit as error:
            raise invalid_properties(f"“url” {error}", "url") from None
        self._check_number(context, user)
        document = self._kept(context, wanted)
        keys = wanted["keys"]
        cursor = tx.execute(
            "INSERT INTO push_subscription (credential, user, vapid, url, keys, code, phase, expires, pushed, doc) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                context.account,
                user,
                self._parts.announced.key_for(tx).number,
                wanted["url"],
                None if keys is None else orjson.dumps(keys).decode(),
                secrets.token_urlsafe(32),
                NEW,
                _expiry(tx, wanted["expires"]),
                self._known(context, document).dump(),
                orjson.dumps(document).decode(),
            ),
        )
        given = context.arguments["create"][context.creation_id]
        unsaid = {"keys": None} if keys is None and "keys" not in given else {}
        if EMAIL_PUSH in context.call.using and "emailPush" not in given:
            unsaid["emailPush"] = None
        return int(cursor.lastrowid or 0), unsaid

    def update(self, context: SetContext, key: int, before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
        """Change a subscription: have it verified, live longer, or be told of other things (RFC 8620 §7.2.2)."""
        tx = context.tx
        if after["verificationCode"] != before["verificationCode"]:
            self._verify(tx, key, after["verificationCode"])
        document = self._kept(context, after, before)
        pushed = tx.value("SELECT pushed FROM push_subscription WHERE key = ?", (key,))
        expires = tx.value("SELECT expires FROM push_subscription WHERE key = ?", (key,))
        if after["expires"] != before["expires"]:
            expires = _expiry(tx, after["expires"])
        tx.execute(
            "UPDATE push_subscription SET expires = ?, pushed = ?, doc = ? WHERE key = ?",
            (
                expires,
                self._known(context, document, before, Pushed.read(pushed)).dump(),
                orjson.dumps(document).decode(),
                key,
            ),
        )
        shown = dates.format_utc_date(expires)
        return {} if shown == after["expires"] else {"expires": shown}

    def destroy(self, context: SetContext, key: int) -> None:
        """Remove a subscription, URL and keys and all."""
        if self.load(context.tx, context.account, key) is None:
            raise SetError(SetError.NOT_FOUND)
        subscriptions.destroy(context.tx, [key])

    def set_members(self, context: SetContext, outcome: "Outcome") -> dict[str, Any]:
        """Have the codes pushed, and what a verified client has missed."""
        _ = context
        if outcome.created or outcome.updated:
            self._parts.on_change()
        return {}

    # What they check

    def _check_number(self, context: SetContext, user: int) -> None:
        """Raise SetError when there are too many, or too many at once (RFC 8620 §8.6)."""
        tx = context.tx
        for column, owner, most in (("credential", context.account, MOST_OF_CREDENTIAL), ("user", user, MOST_OF_USER)):
            count = tx.value(
                f"SELECT count(*) FROM push_subscription WHERE {column} = ? AND expires > ?", (owner, _now(tx))
            )
            if count >= most:
                raise SetError(SetError.OVER_QUOTA, f"There are {most} push subscriptions: destroy one first.")
        made, now = self._made.setdefault(user, deque(maxlen=MOST_CREATED)), tx.clock()
        if len(made) == MOST_CREATED and 0 <= now - made[0] < CREATED_SECONDS:
            raise SetError(SetError.RATE_LIMIT, f"No more than {MOST_CREATED} push subscriptions are made in an hour.")
        made.append(now)

    def _kept(
        self, context: SetContext, wanted: Mapping[str, Any], before: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return what of a subscription is kept as a document, `emailPush` in normal form."""
        document = {name: wanted[name] for name in ("deviceClientId", "types", "emailPush")}
        configs = document["emailPush"]
        if not configs or (before is not None and before["emailPush"] == configs):
            return document
        if wanted["keys"] is None:
            # draft-ietf-jmap-emailpush-03 §6: what mail says is not for whoever carries the push.
            raise invalid_properties("“emailPush” needs “keys”, by which the mail is encrypted.", "emailPush", "keys")
        document["emailPush"] = {
            account_id: self._config(context, account_id, config) for account_id, config in configs.items()
        }
        if len(orjson.dumps(document["emailPush"])) > MOST_CONFIG_OCTETS:
            raise invalid_properties("“emailPush” is too large.", "emailPush")
        return document

    def _config(self, context: SetContext, account_id: str, config: Mapping[str, Any]) -> dict[str, Any]:
        access, emails = context.call.login.find(account_id), self._parts.emails
        if access is None or emails is None:
            raise invalid_properties(f"“emailPush/{account_id}” is not an account of yours with mail.", "emailPush")
        try:
            return emails.checked(context.tx, access.account, config, context.call.resolve_id)
        except ValueProblem as problem:
            path = problem.under(account_id).under("emailPush").path
            raise invalid_properties(f"“{path}” {problem.sentence}.", "emailPush") from None

    def _verify(self, tx: Transaction, key: int, given: str | None) -> None:
        code = tx.value("SELECT code FROM push_subscription WHERE key = ?", (key,))
        if given is None or not hmac.compare_digest(code.encode(), given.encode(errors="replace")):
            raise invalid_properties("This is not the code that was pushed.", "verificationCode")
        tx.execute("UPDATE push_subscription SET phase = ? WHERE key = ?", (VERIFIED, key))

    def _known(
        self,
        context: SetContext,
        document: Mapping[str, Any],
        before: Mapping[str, Any] | None = None,
        pushed: Pushed | None = None,
    ) -> Pushed:
        """Return what counts as known to the client: of what it has not asked for until now, all there is."""
        tx, accesses = context.tx, context.call.login.accounts
        known = pushed or Pushed()
        if before is None or before["types"] != document["types"]:
            types = () if before is None else before["types"]
            now = {access.account: _states(tx, access.account, without=types) for access in accesses}
            known = known.joined(Pushed(states=now))
        asked = (before or {}).get("emailPush") or {}
        new = [access.account for access in accesses if access.account_id not in asked]
        if self._parts.emails is not None and document["emailPush"] is not None:
            known = known.joined(Pushed(emails={one: self._parts.emails.newest(tx, one) for one in new}))
        return known


def _states(reader: Reader, account: int, without: Sequence[str] | None) -> dict[str, int]:
    """Return the states of an account, but for those of the types (None: of all) that the client has asked for."""
    rows = [] if without is None else reader.all("SELECT type, modseq FROM state WHERE account = ?", (account,))
    return {name: modseq for name, modseq in rows if name not in (without or ())}


def _now(tx: Transaction) -> int:
    return int(tx.clock() * 1000)


def _expiry(tx: Transaction, wanted: str | None) -> int:
    """Return when a subscription ends, in milliseconds and whole seconds (RFC 8620 §7.2, expires)."""
    now = _now(tx)
    latest = (now + LONGEST_LIFE) // 1000 * 1000
    if wanted is None:
        return latest
    asked = dates.parse_utc_date(wanted) // 1000 * 1000
    if asked <= now:
        raise invalid_properties("“expires” is in the past; a subscription that is not wanted is destroyed.", "expires")
    return min(asked, latest)
