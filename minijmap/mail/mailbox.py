"""The Mailbox type (RFC 8621 §2).

Its properties, filters and sorts as tables; the rules that Mailboxes put on each other; the order of a tree. The
counts are kept by `counts`. Must not know how Emails are stored, but for asking which are in a Mailbox.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import orjson

from minijmap.jmap import collation
from minijmap.jmap.datatype import Condition, DataType, Filter, Property, Scope, SetContext, Sort, Touched
from minijmap.jmap.errors import SetError, invalid_properties
from minijmap.jmap.query import QueryPlan, SqlPlan, index_in, places_in
from minijmap.jmap.values import Boolean, Id, Nullable, String, unsigned_int
from minijmap.mail import counts, emailget
from minijmap.mail.capability import DEEPEST_MAILBOX, LONGEST_MAILBOX_NAME, MAIL
from minijmap.store import documents
from minijmap.store.database import Reader, Transaction
from minijmap.store.documents import ChangedKeys

if TYPE_CHECKING:
    from collections.abc import Iterable

ROLES = frozenset(
    # The IANA registry of mailbox name attributes in lower case (RFC 8457), with RFC 9979's additions.
    (
        *("all", "archive", "drafts", "flagged", "important", "inbox", "junk"),
        *("memos", "scheduled", "sent", "snoozed", "subscribed", "trash"),
    )
)
RIGHTS = (
    '{"mayReadItems":true,"mayAddItems":true,"mayRemoveItems":true,"maySetSeen":true,"maySetKeywords":true,'
    '"mayCreateChild":true,"mayRename":true,"mayDelete":%s,"maySubmit":true}'
)
COUNTS = ("totalEmails", "unreadEmails", "totalThreads", "unreadThreads")
NEW_ACCOUNT = (
    ("Inbox", "inbox", 1),
    ("Drafts", "drafts", 2),
    ("Sent", "sent", 3),
    ("Archive", "archive", 4),
    ("Junk", "junk", 5),
    ("Trash", "trash", 6),
)
MOST_MAILBOXES = counts.MOST_MAILBOXES


def add_mailbox(
    tx: Transaction, account: int, name: str, role: str | None, sort_order: int, parent: int | None = None
) -> int:
    """Add a Mailbox and return its key. The caller has seen to it that the name and the role are free."""
    document = {
        "name": name,
        "parentId": None if parent is None else f"m{parent}",
        "role": role,
        "sortOrder": sort_order,
        "isSubscribed": True,
    }
    key = documents.insert(tx, counts.MAILBOXES, account, document, {})
    tx.execute("UPDATE mailbox SET reshaped = changed WHERE key = ?", (key,))
    return key


def add_role_mailboxes(tx: Transaction, account: int) -> None:
    """Give a new account its Mailboxes."""
    for name, role, sort_order in NEW_ACCOUNT:
        add_mailbox(tx, account, name, role, sort_order)


def find_child(reader: Reader, account: int, name: str, parent: int | None) -> int | None:
    """Return the key of the Mailbox with a name under a parent, or None."""
    key = reader.value(
        "SELECT key FROM mailbox WHERE account = ? AND parent IS ? AND name = ?",
        (account, None if parent is None else f"m{parent}", name),
    )
    return None if key is None else int(key)


def free_name(reader: Reader, account: int, name: str) -> str:
    """Return the name, or with a number after it, so that no Mailbox at the top has it (RFC 8621 §2)."""
    candidates = (name if number == 1 else f"{name} {number}" for number in range(1, MOST_MAILBOXES + 2))
    return next(one for one in candidates if find_child(reader, account, one, None) is None)


def _contains(column: str) -> Any:
    def build(scope: Scope, value: str) -> Condition:
        inside = f"collate_key('{collation.DEFAULT}', {scope.alias}.{column})"
        return Condition(f"instr({inside}, collate_key('{collation.DEFAULT}', ?)) > 0", (value,))

    return build


def _is(column: str) -> Any:
    return lambda scope, value: Condition(f"{scope.alias}.{column} IS ?", (value,))


def _has_role(scope: Scope, value: bool) -> Condition:
    return Condition(f"({scope.alias}.role IS NOT NULL) = ?", (int(value),))


class MailboxType(DataType):
    """Mailbox, as a table."""

    name = "Mailbox"
    capability = MAIL
    prefix = "m"
    collection = counts.MAILBOXES
    shows_blobs = True
    verbs = ("get", "changes", "set", "query", "queryChanges")
    constrained = True
    properties = {
        "id": Property(Id(), immutable=True, server_set=True),
        "name": Property(String(1, LONGEST_MAILBOX_NAME, net_unicode=True)),
        "parentId": Property(Nullable(Id()), default=None),
        "role": Property(Nullable(String(choices=ROLES)), default=None),
        "sortOrder": Property(unsigned_int(2**31 - 1), default=0),
        "totalEmails": Property(unsigned_int(), server_set=True, column="t.total_emails"),
        "unreadEmails": Property(unsigned_int(), server_set=True, column="t.unread_emails"),
        "totalThreads": Property(unsigned_int(), server_set=True, column="t.total_threads"),
        "unreadThreads": Property(unsigned_int(), server_set=True, column="t.unread_threads"),
        "myRights": Property(
            Id(),
            server_set=True,
            column=f"CASE t.role WHEN 'inbox' THEN '{RIGHTS % 'false'}' ELSE '{RIGHTS % 'true'}' END",
        ),
        "isSubscribed": Property(Boolean(), default=True),
    }
    set_arguments = {"onDestroyRemoveEmails": Nullable(Boolean())}
    filters = {
        "parentId": Filter(Nullable(Id()), _is("parent")),
        "name": Filter(String(), _contains("name")),
        "role": Filter(Nullable(String()), _is("role")),
        "hasAnyRole": Filter(Boolean(), _has_role),
        "isSubscribed": Filter(Boolean(), _is("is_subscribed")),
    }
    sorts = {
        "sortOrder": Sort(lambda scope, _: Condition(f"{scope.alias}.sort_order")),
        "name": Sort(lambda scope, _: Condition(f"{scope.alias}.name"), collates=True),
        "parentId": Sort(lambda scope, _: Condition(f"{scope.alias}.parent")),
    }
    query_arguments = {"sortAsTree": Boolean(), "filterAsTree": Boolean()}
    query_defaults = {"sortAsTree": False, "filterAsTree": False}

    def holders(self, reader: Reader, account: int, blob_id: str) -> list[int]:
        """Return the keys of the Mailboxes with an Email that refers to a blob (RFC 9404 §4.3)."""
        emails = emailget.holders(reader, account, blob_id)
        found: list[int] = orjson.loads(
            reader.value(
                "SELECT json_group_array(mailbox) FROM (SELECT DISTINCT m.mailbox FROM json_each(?) AS asked "
                "CROSS JOIN email_mailbox AS m ON m.email = asked.value ORDER BY m.mailbox)",
                (documents.dump(emails),),
            )
        )
        return found

    # /set (RFC 8621 §2.5)

    def create(self, context: SetContext, wanted: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Store a new Mailbox."""
        key, more = super().create(context, wanted)
        self._reshape(context, key, None, wanted["role"])
        return key, more

    def update(self, context: SetContext, key: int, before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
        """Store a changed Mailbox."""
        more = super().update(context, key, before, after)
        self._reshape(context, key, before["role"], after["role"])
        return more

    def _reshape(self, context: SetContext, key: int, old_role: str | None, new_role: str | None) -> None:
        context.tx.execute("UPDATE mailbox SET reshaped = changed WHERE key = ?", (key,))
        if old_role != new_role and "trash" in (old_role, new_role):
            context.notes["trash moved"] = True

    def destroy(self, context: SetContext, key: int) -> None:
        """Remove a Mailbox, and the Emails in it if that is asked for."""
        from minijmap.mail.email import leave_mailbox

        mailbox = self.load(context.tx, context.account, key)
        if mailbox is None:
            raise SetError(SetError.NOT_FOUND)
        if mailbox["role"] == "inbox":
            raise SetError(SetError.FORBIDDEN, "The Inbox is where mail arrives; it can't be destroyed.")
        if mailbox["totalEmails"]:
            if not context.arguments["onDestroyRemoveEmails"]:
                raise SetError("mailboxHasEmail", f"{mailbox['totalEmails']} Emails are in it.")
            leave_mailbox(context.tx, context.account, key)
        super().destroy(context, key)
        if mailbox["role"] == "trash":
            context.notes["trash moved"] = True

    def finish(self, context: SetContext) -> None:
        """Count anew when another Mailbox is the trash now."""
        if context.notes.get("trash moved"):
            counts.recount_all(context.tx, context.account)

    def check_constraints(self, context: SetContext, key: int) -> None:
        """Check what Mailboxes demand of each other (RFC 8621 §2, §2.5)."""
        tx, account = context.tx, context.account
        mailbox = documents.load(tx, self.collection, account, key)
        if mailbox is None:
            child = tx.value("SELECT key FROM mailbox WHERE account = ? AND parent = ?", (account, f"m{key}"))
            if child is not None:
                raise SetError("mailboxHasChild", f"“m{child}” is inside of it.")
            return
        self._check_name(tx, account, key, mailbox)
        if mailbox["role"] is not None:
            other = tx.value(
                "SELECT key FROM mailbox WHERE account = ? AND role = ? AND key <> ?", (account, mailbox["role"], key)
            )
            if other is not None:
                raise invalid_properties(f"“m{other}” has the role “{mailbox['role']}” already.", "role")
        if mailbox["parentId"] is not None:
            self._check_parents(tx, account, key)

    def _check_name(self, tx: Reader, account: int, key: int, mailbox: Mapping[str, Any]) -> None:
        other = tx.value(
            "SELECT key FROM mailbox WHERE account = ? AND parent IS ? AND name = ? AND key <> ?",
            (account, mailbox["parentId"], mailbox["name"], key),
        )
        if other is not None:
            raise SetError(
                SetError.ALREADY_EXISTS,
                f"There is a mailbox “{mailbox['name']}” at this place already.",
                existingId=self.id_of(other),
            )

    def _check_parents(self, tx: Reader, account: int, key: int) -> None:
        """Walk up to the top: every parent must be there, none twice, and the tree not too deep."""
        parents = dict(
            orjson.loads(
                tx.value(
                    "SELECT json_group_array(json_array('m' || key, parent)) FROM mailbox WHERE account = ?", (account,)
                )
            )
        )
        seen = [self.id_of(key)]
        while (parent := parents[seen[-1]]) is not None:
            if parent not in parents:
                raise invalid_properties(f"There is no mailbox “{parent}”.", "parentId")
            if parent in seen:
                raise invalid_properties("A mailbox can't be inside of itself.", "parentId")
            seen.append(parent)
        depth = len(seen) + _height(self.id_of(key), parents)
        if depth > DEEPEST_MAILBOX:
            raise invalid_properties(f"Mailboxes may be {DEEPEST_MAILBOX} deep.", "parentId")

    # /changes and /query

    def changes_members(self, reader: Reader, account: int, since: int, found: ChangedKeys) -> dict[str, Any]:
        """Name the properties that may have changed, when they are counts alone (RFC 8621 §2.2)."""
        reshaped = reader.value(
            "SELECT max(reshaped) FROM json_each(?) AS asked CROSS JOIN mailbox ON mailbox.key = asked.value "
            "WHERE mailbox.account = ?",
            (documents.dump(found.updated), account),
        )
        only_counts = found.updated and (reshaped or 0) <= since
        return {"updatedProperties": list(COUNTS) if only_counts else None}

    def plan(self, scope: Scope, arguments: Mapping[str, Any]) -> QueryPlan:
        """Return the plan of a query; as a tree if that is asked for (RFC 8621 §2.3)."""
        flat = SqlPlan(self, scope, arguments)
        if not arguments["sortAsTree"] and not arguments["filterAsTree"]:
            return flat
        everything = SqlPlan(self, scope, {**arguments, "filter": None})
        return TreePlan(flat.keys(0, MOST_MAILBOXES), everything.keys(0, MOST_MAILBOXES), _parents(scope), arguments)

    def touched(self, reader: Reader, account: int, since: int, arguments: Mapping[str, Any]) -> Touched:
        """Return whose place may have changed; in a tree that is everybody's, since each place hangs on others."""
        touched = super().touched(reader, account, since, arguments)
        tree = arguments["sortAsTree"] or arguments["filterAsTree"]
        if not tree or not (touched.old or touched.new):
            return touched
        everybody = [row[0] for row in reader.all("SELECT key FROM mailbox WHERE account = ?", (account,))]
        return Touched([*everybody, *touched.old], everybody, touched.complete)


def _height(mailbox_id: str, parents: Mapping[str, str | None]) -> int:
    """Return how many levels of Mailboxes are below one."""
    level, height = {mailbox_id}, -1
    while level and height <= DEEPEST_MAILBOX:
        level = {child for child, parent in parents.items() if parent in level}
        height += 1
    return height


def _parents(scope: Scope) -> dict[int, int | None]:
    """Return each Mailbox's parent, as keys."""
    rows = scope.reader.all(
        "SELECT key, CAST(substr(parent, 2) AS INTEGER) FROM mailbox WHERE account = ?", (scope.account,)
    )
    return dict(rows)


class TreePlan:
    """Results in the order of a tree, or filtered as one (RFC 8621 §2.3)."""

    def __init__(
        self,
        matching: Sequence[int],
        everything: Sequence[int],
        parents: Mapping[int, int | None],
        arguments: Mapping[str, Any],
    ) -> None:
        """`matching` and `everything` are keys in the order of the sort; `parents` has every key."""
        shown = set(matching)
        if arguments["filterAsTree"]:
            # A Mailbox is in the results only if all its ancestors are.
            shown = {key for key in shown if all(one in shown for one in _ancestors(key, parents))}
        order = list(_walk(everything, parents)) if arguments["sortAsTree"] else everything
        self._keys = [key for key in order if key in shown]

    def keys(self, offset: int, limit: int) -> list[int]:
        """Return the keys from an index on."""
        return self._keys[offset : offset + limit]

    def total(self) -> int:
        """Return how many results there are."""
        return len(self._keys)

    def index_of(self, key: int) -> int | None:
        """Return the index of a key in the results, or None."""
        return index_in(self._keys, key)

    def places(self, keys: list[int]) -> list[tuple[int, int]]:
        """Return (index, key), lowest first, of those keys that are in the results."""
        return places_in(self._keys, keys)


def _ancestors(key: int, parents: Mapping[int, int | None]) -> "Iterable[int]":
    parent = parents[key]
    while parent is not None:
        yield parent
        parent = parents[parent]


def _walk(everything: Sequence[int], parents: Mapping[int, int | None]) -> "Iterable[int]":
    """Visit the forest, siblings in their order, each before its children."""
    children: dict[int | None, list[int]] = {}
    for key in everything:
        children.setdefault(parents[key], []).append(key)
    stack = list(reversed(children.get(None, [])))
    while stack:
        key = stack.pop()
        yield key
        stack.extend(reversed(children.get(key, [])))
