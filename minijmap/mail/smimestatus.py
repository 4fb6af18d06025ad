"""What a signature is worth, kept beside the Email: RFC 9219's properties and conditions, and when they are found anew.

Owns the table `email_smime`: a row for each Email with S/MIME, none for any other. A new Email gets its row with no
status in it; whoever comes first (see `smimeworker`, or a client that asks) examines the message, outside of any
transaction, and writes it down. Emails from before there was the table are looked through from the newest on, so that
an upgrade touches no row of theirs.

A status is a function of the octets, the trust anchors and the time: nothing is looked up. So it is found anew when

- it comes to the moment, known in advance, at which a certificate begins or ceases to be valid (`due`),
- the trust anchors are others than those it rests on (all of them become due),
- a client asks and it is a day old (RFC 9219 §4.1 lets it be no older).

When that changes `smimeStatus`, `smimeStatusAtDelivery` or `smimeErrors`, the Email has changed and /changes tells of
it; `smimeVerifiedAt` alone changes no state (RFC 9219 §4.3). Nor does the first status: no client has seen another,
for whoever asks gets it found at once. A condition on a status finds those that were never found, and so many of those
that are due as a request may wait for: the others hold what was true less than a day ago, or the worker is at them.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

import orjson

from minijmap.jmap import dates
from minijmap.jmap.datatype import Condition, Filter, Scope
from minijmap.jmap.values import Boolean
from minijmap.mail import message, smime, smimeform
from minijmap.mail.capability import SMIME
from minijmap.mail.message import Part
from minijmap.mail.smime import SIGNED, UNKNOWN, VERIFIED
from minijmap.mail.smimetrust import Anchors, TrustStore
from minijmap.store import blobs, documents
from minijmap.store.database import Reader, Transaction

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from minijmap.jmap.call import Call

T = TypeVar("T")
PROPERTIES: Final = ("smimeStatus", "smimeStatusAtDelivery", "smimeErrors", "smimeVerifiedAt")
FINDING: Final = frozenset(PROPERTIES[:3])
"""What makes a status be found when it is asked for: the time of the last finding alone does not (RFC 9219 §4.1)."""
CACHED_MS: Final = 24 * 3600 * 1000
BATCH: Final = 20
"""Messages that are examined before what was found is written down."""
MOST_DUE_IN_QUERY: Final = 200
SCANNED: Final = 2000
NEVER: Final = 1 << 62


# --- conditions (RFC 9219 §4.2) -------------------------------------------------------------------------------------


def _condition(extra: str) -> Callable[[Scope, Any], Condition]:
    def build(scope: Scope, wanted: bool) -> Condition:
        found = f"EXISTS (SELECT 1 FROM email_smime AS s WHERE s.email = {scope.alias}.key{extra})"
        return Condition(found if wanted else f"NOT {found}")

    return build


WALKS: Final[Mapping[str, str]] = {
    "hasVerifiedSmime": f" AND d.status = '{VERIFIED}'",
    "hasVerifiedSmimeAtDelivery": f" AND d.at_delivery = '{VERIFIED}'",
    "hasSmime": "",
}
"""By condition, the narrowest first, what picks its Emails out of `email_smime`, in the order of dates by an index."""
FILTERS: Final = {
    name: Filter(Boolean(), _condition(extra.replace("d.", "s.")), SMIME) for name, extra in WALKS.items()
}


def names_smime(node: Any) -> bool:
    """Say whether a filter, as the client gives it, has one of these conditions."""
    left = [node]
    while left:
        one = left.pop()
        if isinstance(one, dict):
            if not FILTERS.keys().isdisjoint(one):
                return True
            conditions = one.get("conditions")
            left += conditions if isinstance(conditions, list) else []
    return False


# --- rows -----------------------------------------------------------------------------------------------------------


def note(tx: Transaction, account: int, key: int, received_at: int) -> None:
    """Note that a new Email has S/MIME; `received_at` in milliseconds."""
    tx.execute("INSERT INTO email_smime (email, account, received_at) VALUES (?, ?, ?)", (key, account, received_at))


def forget(tx: Transaction, key: int) -> None:
    """Remove an Email's row, if it has one."""
    tx.execute("DELETE FROM email_smime WHERE email = ?", (key,))


def values(reader: Reader, keys: Sequence[int]) -> dict[int, dict[str, Any]]:
    """Return the properties of Emails as they are known, by key; without S/MIME all of them are null."""
    rows = orjson.loads(
        reader.value(
            "SELECT json_group_array(json_array(s.email, s.status, s.at_delivery, json(s.errors), s.verified_at)) "
            "FROM json_each(?) AS asked CROSS JOIN email_smime AS s ON s.email = asked.value",
            (documents.dump(list(keys)),),
        )
    )
    found = {
        key: dict(
            zip(
                PROPERTIES,
                (status or SIGNED, at_delivery or SIGNED, errors, _verified_at(status, at)),
                strict=True,
            )
        )
        for key, status, at_delivery, errors, at in rows
    }
    return {key: found.get(key) or dict.fromkeys(PROPERTIES) for key in keys}


def _verified_at(status: str | None, at: int | None) -> str | None:
    """Return `smimeVerifiedAt`: null as long as there is no S/MIME signature, or nobody has tried (RFC 9219 §4.1)."""
    return None if status in (None, UNKNOWN) or at is None else dates.format_utc_date(at)


# --- finding --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Due:
    """An Email whose status is to be found."""

    key: int
    account: int
    blob: int
    received_at: int


@dataclass(frozen=True)
class Found:
    """What was found of an Email: no status means that it has no signature that anybody can see."""

    email: Due
    status: str | None
    at_delivery: str | None = None
    errors: list[str] | None = None
    verified_at: int = 0
    next_change: int = NEVER


@dataclass(frozen=True)
class Store:
    """How the store is reached: by a call inside of a request, or by the worker. A write ends what `read` has given."""

    read: "Callable[[], AbstractContextManager[Reader]]"
    write: Callable[[Callable[[Transaction], Any]], Any]


def store_of(call: "Call") -> Store:
    """Return the store as a method call reaches it."""
    return Store(lambda: nullcontext(call.reader()), call.write)


class Statuses:
    """Finds statuses and writes them down."""

    def __init__(self, trust: TrustStore) -> None:
        self._trust = trust

    # Whose status is to be found

    def find_for(self, store: Store, account: int, keys: Iterable[int], now: int) -> None:
        """Find the statuses of Emails that a client asks for; `now` in milliseconds."""
        if not self._prepare(store):
            return
        with store.read() as reader:
            rows = reader.all(
                "SELECT s.email, s.account, e.blob, s.received_at FROM json_each(?) AS asked "
                "CROSS JOIN email_smime AS s ON s.email = asked.value CROSS JOIN email AS e ON e.key = s.email "
                "WHERE s.account = ? AND (s.due <= ? OR s.verified_at < ?)",
                (documents.dump(list(keys)), account, now, now - CACHED_MS),
            )
        for start in range(0, len(rows), BATCH):
            self._find([Due(*row) for row in rows[start : start + BATCH]], store, now)

    def find_for_query(self, store: Store, account: int, now: int) -> None:
        """Find what a query with one of the conditions must know: what was never found, and some of what is due."""
        if not self._prepare(store):
            return
        while self._find_some(store, now, "s.account = ? AND s.status IS NULL", (account,)):
            pass
        for _ in range(MOST_DUE_IN_QUERY // BATCH):
            # The sign keeps SQLite from walking along all statuses of the account.
            if not self._find_some(store, now, "s.due <= ? AND +s.account = ?", (now, account)):
                return

    def find_due(self, store: Store, now: int) -> bool:
        """Find some of what is due in all accounts; say whether there was anything."""
        return self._has_any(store) and self._find_some(store, now, "s.due <= ?", (now,))

    def _prepare(self, store: Store) -> bool:
        """Look at every Email of before; say whether there is any S/MIME at all."""
        while self.scan(store):
            pass
        return self._has_any(store)

    def _has_any(self, store: Store) -> bool:
        """Say whether any Email has S/MIME, and use the trust anchors of now if so: without, they are never read."""
        with store.read() as reader:
            found = reader.value("SELECT 1 FROM email_smime LIMIT 1") is not None
        if found:
            self.use_anchors(store)
        return found

    def _find_some(self, store: Store, now: int, condition: str, bound: tuple[Any, ...]) -> bool:
        with store.read() as reader:
            rows = reader.all(
                "SELECT s.email, s.account, e.blob, s.received_at FROM email_smime AS s "
                f"CROSS JOIN email AS e ON e.key = s.email WHERE {condition} LIMIT ?",
                (*bound, BATCH),
            )
        if rows:
            self._find([Due(*row) for row in rows], store, now)
        return bool(rows)

    # Finding it

    def _find(self, wanted: Sequence[Due], store: Store, now: int) -> None:
        """Examine some messages, and write down what was found."""
        anchors = self.use_anchors(store)
        with store.read() as reader:
            found = [_examined(reader, one, anchors, now) for one in wanted]
        store.write(lambda tx: _write(tx, found, anchors.fingerprint))

    # What changes for all of them

    def use_anchors(self, store: Store) -> Anchors:
        """Return the trust anchors; if they are not those that the statuses rest on, all of these become due."""
        anchors = self._trust.anchors()
        with store.read() as reader:
            known = reader.value("SELECT anchors FROM smime_progress")
        if known != anchors.fingerprint:
            store.write(lambda tx: _rest_on(tx, anchors.fingerprint))
        return anchors

    def scan(self, store: Store) -> bool:
        """Look through some Emails of before, the newest first; say whether any are left to be looked at."""
        with store.read() as reader:
            unseen = int(reader.value("SELECT unseen FROM smime_progress"))
            upto = max(unseen - SCANNED, 0)
            found = _candidates(reader, upto, unseen) if unseen else []
        if unseen:
            store.write(lambda tx: _note_all(tx, found, upto))
        return upto > 0


def _examined(reader: Reader, email: Due, anchors: Anchors, now: int) -> Found:
    raw = blobs.read(reader, email.blob)
    findings = smime.examine(raw, message.parse(raw), anchors)
    if findings is None:
        return Found(email, None)
    status, errors = findings.judge(now)
    at_delivery, _ = findings.judge(email.received_at)
    return Found(email, status, at_delivery, errors, now, findings.next_change(now) or NEVER)


def parsed(raw: bytes, root: Part, trust: TrustStore, now: int) -> dict[str, Any]:
    """Return the properties of a message that is no Email: it was never delivered (RFC 8621 §4.9)."""
    findings = smime.examine(raw, root, trust.anchors()) if smimeform.find(root) else None
    if findings is None:
        return dict.fromkeys(PROPERTIES)
    status, errors = findings.judge(now)
    return dict(zip(PROPERTIES, (status, None, errors, _verified_at(status, now)), strict=True))


def _candidates(reader: Reader, after: int, upto: int) -> list[tuple[int, int, int]]:
    """Return (account, key, received_at) of Emails with S/MIME in a range of keys.

    Their structure is looked at as text first: reading the JSON of all would take ten times as long.
    """
    signs = ("instr(c.rest, '\"multipart/signed\"')", "instr(c.rest, 'pkcs7-mime\"')", "c.rest LIKE '%.p7_\"%'")
    rows = reader.all(
        "SELECT e.account, e.key, e.received_at, c.rest FROM email AS e CROSS JOIN email_content AS c "
        f"ON c.email = e.key WHERE e.key > ? AND e.key <= ? AND ({' OR '.join(signs)})",
        (after, upto),
    )
    return [(account, key, at) for account, key, at, rest in rows if _has_smime(orjson.loads(rest))]


def _has_smime(rest: dict[str, Any]) -> bool:
    return smimeform.find(message.from_json({"h": rest["headers"], "p": rest["structure"]})) is not None


def _note_all(tx: Transaction, found: list[tuple[int, int, int]], unseen: int) -> None:
    tx.many(
        "INSERT OR IGNORE INTO email_smime (account, email, received_at) "
        "SELECT account, key, received_at FROM email WHERE account = ? AND key = ? AND received_at = ?",
        [*found],
    )
    tx.execute("UPDATE smime_progress SET unseen = min(unseen, ?)", (unseen,))


def _rest_on(tx: Transaction, fingerprint: str) -> None:
    tx.execute("UPDATE email_smime SET due = 0 WHERE status IN (?, ?)", (VERIFIED, smime.FAILED))
    tx.execute("UPDATE smime_progress SET anchors = ?", (fingerprint,))


def _write(tx: Transaction, found: Sequence[Found], fingerprint: str) -> None:
    """Write down what was found, unless the trust anchors have changed meanwhile: then it is found again."""
    if fingerprint == tx.value("SELECT anchors FROM smime_progress"):
        for one in found:
            _write_one(tx, one)


def _write_one(tx: Transaction, found: Found) -> None:
    from minijmap.mail.ingest import EMAILS

    email = found.email
    there = tx.value("SELECT 1 FROM email WHERE key = ?", (email.key,))
    if found.status is None or there is None:  # no signature after all, or destroyed meanwhile
        forget(tx, email.key)
        return
    row = tx.one("SELECT status, at_delivery, errors FROM email_smime WHERE email = ?", (email.key,))
    before = row or (None, None, None)
    # RFC 9219 §4.1: it changes when a trust anchor is added; that one goes does not matter.
    at_delivery = VERIFIED if before[1] == VERIFIED else found.at_delivery
    errors = None if found.errors is None else documents.dump(found.errors)
    tx.execute(
        "INSERT INTO email_smime (email, account, received_at, status, at_delivery, errors, verified_at, due) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (email) DO UPDATE SET status = excluded.status, "
        "at_delivery = excluded.at_delivery, errors = excluded.errors, verified_at = excluded.verified_at, "
        "due = excluded.due",
        (
            *(email.key, email.account, email.received_at),
            *(found.status, at_delivery, errors, found.verified_at, found.next_change),
        ),
    )
    # RFC 9219 §4.3
    if before[0] is not None and before != (found.status, at_delivery, errors):
        documents.mark_changed(tx, EMAILS, email.account, email.key)
