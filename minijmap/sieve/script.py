"""The SieveScript type (RFC 9661 §2): an account's scripts, of which one at most is active.

Its properties, filters and sorts as tables; what a name and a content may be. Which script is active, and what that has
to do with the VacationResponse, is `activity`'s. Must not know what a script does to a message.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from minijmap.jmap import collation
from minijmap.jmap.datatype import Condition, DataType, Filter, Property, Scope, SetContext, Sort
from minijmap.jmap.errors import SetError, invalid_properties
from minijmap.jmap.values import Anything, Boolean, Id, Nullable, String, ValueProblem
from minijmap.sieve import activity, scripts
from minijmap.sieve.capability import LONGEST_NAME, MOST_SCRIPTS, SIEVE
from minijmap.sieve.errors import ScriptError
from minijmap.sieve.limits import LIMITS
from minijmap.sieve.scripts import SCRIPTS, USER, VACATION, Stored
from minijmap.store import blobs
from minijmap.store.blobs import PackedBlob
from minijmap.store.database import Reader

if TYPE_CHECKING:
    from minijmap.jmap.call import Call
    from minijmap.jmap.session import Access
    from minijmap.jmap.setting import Outcome

INVALID_SIEVE: Final = "invalidSieve"
SIEVE_IS_ACTIVE: Final = "sieveIsActive"
_SEPARATORS: Final = re.compile("[\u2028\u2029]")


class Name(String):
    """The name of a script (RFC 9661 §2.1): net-Unicode, which has no control characters, without line ends."""

    def __init__(self) -> None:
        super().__init__(1, LONGEST_NAME, net_unicode=True)

    def check(self, value: Any) -> str:
        """Return it in NFC."""
        text = super().check(value)
        if _SEPARATORS.search(text):
            raise ValueProblem("must not have line or paragraph separators")
        return text


def check_content(octets: bytes) -> None:
    """Raise the SetError that says why a script can't be accepted (RFC 9661 §2.4)."""
    if len(octets) > LIMITS.script_size:
        raise SetError(SetError.TOO_LARGE, f"A script may have {LIMITS.script_size} octets.")
    if not octets:  # RFC 9661 §2.2
        raise SetError(INVALID_SIEVE, "line 1, column 1: The script is empty.")
    # The language is in memory once somebody has a script, and not before.
    from minijmap.sieve.compiler import compile_script

    try:
        compile_script(octets)
    except ScriptError as error:
        raise SetError(INVALID_SIEVE, str(error)) from None


def _content_of(reader: Reader, account: int, blob_id: str) -> PackedBlob:
    """Return a blob that may be a script's content. Raises SetError."""
    octets = blobs.open_blob(reader, account, blob_id)
    if octets is None:
        raise invalid_properties(f"There is no blob “{blob_id[:64]}”.", "blobId")
    check_content(octets)
    return blobs.pack(octets)


def _contains(scope: Scope, value: str) -> Condition:
    inside = f"collate_key('{collation.DEFAULT}', {scope.alias}.name)"
    return Condition(f"instr({inside}, collate_key('{collation.DEFAULT}', ?)) > 0", (value,))


class SieveScriptType(DataType):
    """SieveScript, as a table."""

    name = "SieveScript"
    capability = SIEVE
    prefix = "s"
    collection = SCRIPTS
    verbs = ("get", "changes", "set", "query", "queryChanges")
    constrained = True
    holds_blobs = True
    properties = {
        "id": Property(Id(), immutable=True, server_set=True),
        "name": Property(Nullable(Name()), default=None),
        "blobId": Property(Id()),
        "isActive": Property(Boolean(), default=False, server_set=True),
    }
    set_arguments = {
        # RFC 9661 §2.4: what names no script is ignored, whatever it looks like.
        "onSuccessActivateScript": Anything(),
        "onSuccessDeactivateScript": Nullable(Boolean()),
    }
    filters = {
        "name": Filter(String(), _contains),
        "isActive": Filter(Boolean(), lambda scope, value: Condition(f"{scope.alias}.is_active = ?", (int(value),))),
    }
    sorts = {
        "name": Sort(lambda scope, _: Condition(f"{scope.alias}.name"), collates=True),
        "isActive": Sort(lambda scope, _: Condition(f"{scope.alias}.is_active")),
    }

    # /set (RFC 9661 §2.4)

    def prepare(self, call: "Call", access: "Access", arguments: Mapping[str, Any]) -> dict[str, PackedBlob | SetError]:
        """Read every content before the transaction: that takes time."""
        given = [*(arguments["create"] or {}).values(), *(arguments["update"] or {}).values()]
        blob_ids = [one["blobId"] for one in given if isinstance(one.get("blobId"), str)]
        found: dict[str, PackedBlob | SetError] = {}
        for blob_id in dict.fromkeys(call.resolve_id(one) if one.startswith("#") else one for one in blob_ids):
            try:
                found[blob_id] = _content_of(call.reader(), access.account, blob_id)
            except SetError as error:
                found[blob_id] = error
        return found

    def create(self, context: SetContext, wanted: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Store a new script."""
        tx, account = context.tx, context.account
        content = _prepared(context, wanted["blobId"])
        count = tx.value("SELECT count(*) FROM sieve_script WHERE account = ? AND kind = ?", (account, USER))
        if count >= MOST_SCRIPTS:
            raise SetError(SetError.OVER_QUOTA, f"An account may have {MOST_SCRIPTS} scripts.")
        key = scripts.add(tx, account, wanted["name"] or self._new_name(context), content, USER)
        return key, {"blobId": content.blob_id}

    def update(self, context: SetContext, key: int, before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
        """Store a changed script; it may be the active one."""
        script = self._own(context, key)
        if after["name"] is None:
            after["name"] = self._new_name(context)
        content = None
        if after["blobId"] != before["blobId"]:
            content = _prepared(context, after["blobId"])
            after["blobId"] = content.blob_id
        scripts.change(context.tx, context.account, script, content, name=after["name"])
        return {}

    def destroy(self, context: SetContext, key: int) -> None:
        """Remove a script that is not active."""
        script = self._own(context, key)
        if script.is_active:
            raise SetError(SIEVE_IS_ACTIVE, "The script is active: deactivate it first, in a call of its own.")
        super().destroy(context, key)
        blobs.remove_use(context.tx, script.blob, context.account, SCRIPTS.type_name, key)

    def _own(self, context: SetContext, key: int) -> Stored:
        """Return a script that a client may change. Raises SetError."""
        script = scripts.load(context.tx, context.account, key)
        if script is None:
            raise SetError(SetError.NOT_FOUND)
        if script.kind == VACATION:  # RFC 9661 §4
            raise SetError(SetError.FORBIDDEN, "This script can only be changed by VacationResponse/set.")
        return script

    def _new_name(self, context: SetContext) -> str:
        """Return a name for a script that was given none."""
        at = datetime.fromtimestamp(context.call.now() / 1000, UTC)
        return scripts.free_name(context.tx, context.account, f"script-{at:%Y%m%dT%H%M%S}")

    def check_constraints(self, context: SetContext, key: int) -> None:
        """See to it that no two scripts have the same name (RFC 9661 §2.1)."""
        other = context.tx.value(
            "SELECT o.key FROM sieve_script AS t JOIN sieve_script AS o ON o.account = t.account AND o.name = t.name "
            "WHERE o.key <> t.key AND t.key = ? AND t.account = ?",
            (key, context.account),
        )
        if other is not None:
            raise SetError(SetError.ALREADY_EXISTS, "Another script has this name.", existingId=self.id_of(other))

    def conclude(self, context: SetContext, outcome: "Outcome") -> None:
        """Change which script is active, if all else has succeeded, and report it (RFC 9661 §2.4)."""
        if outcome.not_created or outcome.not_updated or outcome.not_destroyed:
            return
        tx, account, arguments = context.tx, context.account, context.arguments
        before = scripts.flags(tx, account)
        if arguments["onSuccessDeactivateScript"]:  # it “MUST be processed first”
            activity.deactivate(tx, account)
        wanted = self._wanted(context, outcome)
        activated = {wanted} if wanted is not None and activity.activate(tx, account, wanted) else set()
        after = scripts.flags(tx, account)
        created = {one["id"]: one for one in outcome.created.values()}
        for key in sorted(activated | {key for key in after if after[key] != before.get(key)}):
            object_id, is_active = self.id_of(key), {"isActive": after[key]}
            if object_id in created:
                created[object_id].update(is_active)
            else:
                outcome.updated[object_id] = {**(outcome.updated.get(object_id) or {}), **is_active}

    def _wanted(self, context: SetContext, outcome: "Outcome") -> int | None:
        """Return the key of the script that is to be activated, or None: what names none is ignored."""
        reference = context.arguments["onSuccessActivateScript"]
        if not isinstance(reference, str):
            return None
        if not reference.startswith("#"):
            return self.key_of(reference)
        here = outcome.created.get(reference[1:])
        return self.key_of(here["id"] if here is not None else context.call.resolve_id(reference))


def _prepared(context: SetContext, blob_id: str) -> PackedBlob:
    """Return a content that was read before the transaction. Raises SetError."""
    found: PackedBlob | SetError | None = context.prepared.get(blob_id)
    if found is None:  # a reference that nobody could resolve before
        found = _content_of(context.tx, context.account, blob_id)
    if isinstance(found, SetError):
        raise found
    return found
