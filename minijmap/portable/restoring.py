"""Giving an account back what an export has kept of it: into an empty account or one that is in use.

What is there already is left alone (see `plans`), so that all of it may be repeated. Small types come first, since
Emails and cards refer to them by ids that are others now. Must not know how progress is shown.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from minijmap.contacts import cards
from minijmap.jmap.call import snapshot_of
from minijmap.jmap.datatype import DataType
from minijmap.jmap.engine import Engine
from minijmap.jmap.errors import MethodError, SetError
from minijmap.jmap.session import login_of
from minijmap.jmap.values import ID, ValueProblem
from minijmap.mail.importing import Progress
from minijmap.mail.restoring import KeptEmail, Restorer, kept
from minijmap.portable import accountfile, filenames, plans, verbs
from minijmap.portable.accountfile import AccountFile, BrokenFile, Item
from minijmap.portable.exporting import email_file
from minijmap.portable.files import BadFile, Blobs, read_file
from minijmap.portable.plans import Plan
from minijmap.sieve import vacationscript
from minijmap.store import documents
from minijmap.store.accounts import User

MOST_OBJECTS: Final = 20_000
"""Of each small type."""
BATCH_OBJECTS: Final = 100
BATCH_OCTETS: Final = 4_000_000
CARD: Final = "ContactCard"
EMAIL: Final = "Email"
SCRIPT: Final = "SieveScript"
VACATION: Final = "VacationResponse"
BROKEN_OFF: Final = "the export was broken off: there is no account.json. Export anew, into another folder."

Objects = dict[str, dict[str, Any]]


def is_export(folder: Path) -> bool:
    """Say whether a path is a folder that an export has written, whole or not."""
    return any((folder / name).exists() for name in (accountfile.NAME, accountfile.UNFINISHED))


def size(folder: Path) -> int:
    """Return the octets that all `Progress` of a folder will tell of."""
    file = folder / accountfile.NAME
    return file.stat().st_size if file.exists() else 0


def restore(engine: Engine, user: User, folder: Path, most_octets: int) -> Iterator[Progress]:
    """Give a user what a folder has, batch by batch. No file larger than `most_octets` is read."""
    path = folder / accountfile.NAME
    if not path.exists():
        yield Progress(0, 0, [(str(folder), BROKEN_OFF)], 0)
        return
    restoring = _Restoring(engine, user, folder, most_octets)
    with path.open("rb") as file:
        account = AccountFile(file)
        try:
            for batch in _batches(account.items()):
                yield restoring.take(batch, account.members)
        except BrokenFile as error:
            yield Progress(0, 0, [(str(path), str(error))], 0)
    yield restoring.finish()


def _batches(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Yield a few items of one type at a time. Raises what `items` does, when all before that has been yielded."""
    batch: list[Item] = []
    octets = 0
    try:
        for item in items:
            if batch and (
                item.type_name != batch[0].type_name or len(batch) >= BATCH_OBJECTS or octets >= BATCH_OCTETS
            ):
                yield batch
                batch, octets = [], 0
            batch.append(item)
            octets += _octets(item)
    except BrokenFile:
        if batch:
            yield batch
        raise
    if batch:
        yield batch


def _octets(item: Item) -> int:
    """Return about how much of memory an item takes with its files."""
    size = item.value.get("size")
    return max(item.octets, size if isinstance(size, int) else 0)


class _Restoring:
    """One folder on its way back into an account."""

    def __init__(self, engine: Engine, user: User, folder: Path, most_octets: int) -> None:
        self._engine = engine
        self._user = user
        self._folder = folder
        self._most_octets = most_octets
        self._blobs = Blobs(engine.database, user.account, folder, most_octets)
        self._emails = Restorer(engine.database, user.account)
        self._folders: dict[str, str] = {}
        self._small: dict[str, Objects] = defaultdict(dict)
        """Objects of small types that are not restored yet, by type and id."""
        self._ids: dict[str, dict[str, str]] = defaultdict(dict)
        """By type, the ids of now by those of then."""
        self._failures: list[tuple[str, str]] = []
        """Those that nobody was told of yet."""
        self._restorers: Mapping[str, Callable[[Objects], Progress]] = {
            "Mailbox": self._mailboxes,
            "Identity": self._identities,
            "AddressBook": self._books,
            SCRIPT: self._scripts,
            VACATION: self._vacation,
        }

    def take(self, batch: Sequence[Item], members: Mapping[str, Any]) -> Progress:
        """Restore some objects of a type, or keep them until all of theirs are there."""
        octets, type_name = sum(item.octets for item in batch), batch[0].type_name
        self._failures += [(self._place(item), item.problem) for item in batch if item.problem is not None]
        items = [item for item in batch if item.problem is None]
        done = []
        if type_name in self._restorers:
            for item in items:
                self._keep(item)
        elif type_name in (EMAIL, CARD):
            self._folders = self._folders or _safe_folders(members.get("folders"))
            done += [self._restore_small(), self._store_emails(items) if type_name == EMAIL else self._add_cards(items)]
        return self._told(done, octets)

    def finish(self) -> Progress:
        """Restore what is left."""
        return self._told([self._restore_small()], 0)

    def _told(self, done: Iterable[Progress], octets: int) -> Progress:
        total = _sum(done, octets)
        failures, self._failures = [*self._failures, *total.failures], []
        return Progress(total.imported, total.already_there, failures, octets)

    def _place(self, item: Item) -> str:
        return f"{self._folder / accountfile.NAME}: line {item.line}"

    # Small types

    def _keep(self, item: Item) -> None:
        """Keep an object of a small type, if it is one."""
        kept_so_far = self._small[item.type_name]
        try:
            value = plans.checked(self._engine.types[item.type_name], item.value)
        except ValueProblem as problem:
            self._failures.append((self._place(item), f"{item.type_name}: “{problem.path}” {problem.sentence}."))
            return
        if not ID.match(value["id"]) or value["id"] in kept_so_far or len(kept_so_far) >= MOST_OBJECTS:
            self._failures.append((self._place(item), f"{item.type_name}: its id is no id, or not the only one."))
            return
        kept_so_far[value["id"]] = value

    def _restore_small(self) -> Progress:
        waiting, self._small = self._small, defaultdict(dict)
        return _sum((restore(waiting[name]) for name, restore in self._restorers.items() if name in waiting), 0)

    def _now(self, type_name: str) -> list[dict[str, Any]]:
        """Return the objects of a type that the account has."""
        with snapshot_of(self._engine.database) as snapshot:
            pages = verbs.objects(self._engine, login_of(self._user), snapshot, self._type(type_name))
            return [one for page in pages for one in page]

    def _type(self, name: str) -> DataType:
        return self._engine.types[name]

    def _has(self, type_name: str) -> bool:
        with self._engine.database.read() as reader:
            return bool(documents.keys_after(reader, self._type(type_name).collection, self._user.account, 0, 1))

    def _mailboxes(self, objects: Objects) -> Progress:
        now, has_emails = self._now("Mailbox"), self._has(EMAIL)
        plan = plans.mailboxes(self._type("Mailbox"), list(objects.values()), now, has_emails=has_emails)
        return self._carry_out("Mailbox", plan, objects)

    def _identities(self, objects: Objects) -> Progress:
        now, name = self._now("Identity"), self._user.name
        return self._carry_out(
            "Identity", plans.identities(self._type("Identity"), list(objects.values()), now, name), objects
        )

    def _books(self, objects: Objects) -> Progress:
        now, has_cards = self._now("AddressBook"), self._has(CARD)
        plan = plans.books(self._type("AddressBook"), list(objects.values()), now, has_cards=has_cards)
        return self._carry_out("AddressBook", plan, objects)

    def _scripts(self, objects: Objects) -> Progress:
        """Restore scripts; the one that shows the VacationResponse comes with that."""
        own, failures = {}, []
        for object_id, one in objects.items():
            try:
                content = self._blobs.read(one["blobId"])
            except BadFile as error:
                failures.append((self._name(SCRIPT, one), str(error)))
                continue
            if not vacationscript.is_made(content):
                own[object_id] = one
        now = self._now(SCRIPT)
        plan = plans.by_name(self._type(SCRIPT), own.values(), now, ("name",))
        for object_id in plan.create:
            self._blobs.upload(own[object_id])
        active = next((one for one in plan.create if own[one].get("isActive") is True), None)
        if active is None or any(one["isActive"] for one in now):
            return _sum([self._carry_out(SCRIPT, plan, own), Progress(0, 0, failures, 0)], 0)
        alone = Plan(create={active: plan.create.pop(active)})
        done = [
            self._carry_out(SCRIPT, plan, own),
            self._carry_out(SCRIPT, alone, own, onSuccessActivateScript=f"#{active}"),
        ]
        return _sum([*done, Progress(0, 0, failures, 0)], 0)

    def _vacation(self, objects: Objects) -> Progress:
        """Restore the VacationResponse, unless there is one."""
        data_type, (now,) = self._type(VACATION), self._now(VACATION)
        plan = Plan()
        for one in objects.values():
            unset = all(
                now[name] == declared.default for name, declared in data_type.properties.items() if name != "id"
            )
            plan.take_on(one, now, plans.values_of(data_type, one) if unset else {})
        return self._carry_out(VACATION, plan, objects)

    def _carry_out(self, type_name: str, plan: Plan, objects: Objects, **arguments: Any) -> Progress:
        """Make the changes of a plan, all in one call, and note the ids that objects have now."""
        ids = self._ids[type_name]
        ids.update(plan.there)
        failures = {**plan.failures}
        there = len(plan.there) - len(plan.update)
        imported = 0
        if plan.create or plan.update or plan.destroy:
            updates = {plan.there[old]: patch for old, patch in plan.update.items()}
            wanted = {"create": plan.create, "update": updates, "destroy": plan.destroy, **arguments}
            try:
                answer = verbs.write(self._engine, login_of(self._user), f"{type_name}/set", wanted)
            except MethodError as error:
                return Progress(0, there, [(self._name(type_name, one), str(error)) for one in objects.values()], 0)
            created = answer["created"] or {}
            ids.update({old: one["id"] for old, one in created.items()})
            refused = answer["notUpdated"] or {}
            failures |= {old: _why(error) for old, error in (answer["notCreated"] or {}).items()}
            failures |= {old: _why(refused[plan.there[old]]) for old in plan.update if plan.there[old] in refused}
            imported = len(plan.create) + len(plan.update) - len(failures) + len(plan.failures)
        told = [(self._name(type_name, objects[old]), why) for old, why in failures.items()]
        return Progress(imported, there, told, 0)

    def _name(self, type_name: str, one: Mapping[str, Any]) -> str:
        """Return what an object is called where it failed."""
        name = one.get("name") or one.get("email") or one.get("uid")
        shown = f" “{name[:60]}”" if isinstance(name, str) else ""
        return f"{self._folder / accountfile.NAME}: {type_name} {one.get('id')}{shown}"

    # Large types

    def _store_emails(self, items: Iterable[Item]) -> Progress:
        batch, failures = [], []
        for item in items:
            try:
                batch.append(self._kept_email(item.value))
            except (BadFile, SetError) as error:
                failures.append((f"{self._place(item)}: Email {item.value.get('id')}", str(error)))
        return _sum([self._emails.store(batch) if batch else Progress(0, 0, [], 0), Progress(0, 0, failures, 0)], 0)

    def _kept_email(self, email: Mapping[str, Any]) -> KeptEmail:
        """Return an Email with its message. Raises BadFile and SetError."""
        object_id, then = email.get("id"), email.get("mailboxIds")
        if not isinstance(object_id, str) or not ID.match(object_id) or not isinstance(then, dict):
            raise SetError(SetError.INVALID_PROPERTIES, "it needs an id and mailboxIds.")
        path = email_file(self._folders, email)
        if path is None:
            raise SetError(SetError.INVALID_PROPERTIES, "none of its mailboxes has a folder.")
        ids = self._ids["Mailbox"]
        now = {ids[one]: True for one in then if one in ids}
        file = self._folder / path
        one = kept(str(file), {**email, "mailboxIds": now}, read_file(file, self._most_octets))
        if one.parsed.blob.blob_id != email.get("blobId"):
            raise BadFile(f"{file}: these are not the octets that were exported.")
        return one

    def _add_cards(self, items: Iterable[Item]) -> Progress:
        plan, objects, failures = Plan(), {}, []
        books = self._ids["AddressBook"]
        for item in items:
            card, name = item.value, f"k{item.line}"
            try:
                if self._has_card(card):
                    plan.there[name] = name
                    continue
                self._blobs.upload(card)
            except BadFile as error:
                failures.append((self._name(CARD, card), str(error)))
                continue
            then = card.get("addressBookIds")
            now = {books[one]: True for one in (then if isinstance(then, dict) else ()) if one in books}
            objects[name] = card
            plan.create[name] = {**{one: card[one] for one in card if one != "id"}, "addressBookIds": now}
        done = self._carry_out(CARD, plan, objects)
        return _sum([done, Progress(0, 0, failures, 0)], 0)

    def _has_card(self, card: Mapping[str, Any]) -> bool:
        uid = card.get("uid")
        with self._engine.database.read() as reader:
            return isinstance(uid, str) and cards.find_card(reader, self._user.account, uid) is not None


def _sum(done: Iterable[Progress], octets: int) -> Progress:
    imported = there = 0
    failures: list[tuple[str, str]] = []
    for one in done:
        imported += one.imported
        there += one.already_there
        failures += one.failures
    return Progress(imported, there, failures, octets)


def _why(error: Mapping[str, Any]) -> str:
    return str(error.get("description") or error["type"])


def _safe_folders(value: Any) -> dict[str, str]:
    """Return the folders of Mailboxes, as far as they are inside of the export."""
    told = value.items() if isinstance(value, dict) else ()
    return {one: path for one, path in told if isinstance(path, str) and filenames.is_safe(path)}
