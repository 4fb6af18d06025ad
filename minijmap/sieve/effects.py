"""What a script decides, done: places for the message, messages in the user's name, a refusal (RFC 5228 §2.10).

Owns what each action means in this house, and that a message which could not go where it was sent is kept instead. Must
not know why something was decided, nor how mail arrives.
"""

import logging
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from minijmap.mail import ingest
from minijmap.mail.vacation import current
from minijmap.sieve import lists, places, redirecting, replies
from minijmap.sieve.actions import Action, Fcc, FileInto, Keep, Notify, Redirect, RedirectList, Reject, Vacation
from minijmap.sieve.case import Case

REFUSED: Final = "5.7.1"
"""The status of a message that a script rejects (RFC 5429 §2.5)."""
JUNK: Final = "$junk"
MOST_LISTED: Final = 100
"""Members of a list to whom a message is sent on; with more it is kept instead (RFC 6134 §2.3)."""
_NOT_DELIVERED: Final = ("junk", "trash")
"""Roles of Mailboxes into which a message is rather put away than delivered."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Refusal:
    """Why a recipient does not take a message. `exact`: the reason must come to the sender as it is (RFC 5429 §2.2)."""

    status: str
    reason: str
    exact: bool = False


@dataclass
class Sheet:
    """What is to be done with a message in an account, collected from all of its recipients there."""

    places: dict[bytes | None, dict[int, None]] = field(default_factory=dict)
    """Octets (None: as they arrived) → keys of Mailboxes."""
    keywords: dict[bytes | None, dict[str, None]] = field(default_factory=dict)
    is_answered: bool = False
    """A script has decided about an answer, so that no other is sent."""
    sent_to: set[str] = field(default_factory=set)
    """Where the message was sent on to."""
    notified: set[Notify] = field(default_factory=set)
    """The notifications sent: the same is not sent again for another address (RFC 5435 §3.8)."""

    def put(self, octets: bytes | None, mailbox: int, keywords: list[str]) -> None:
        """Have the message stored in a Mailbox."""
        self.places.setdefault(octets, {})[mailbox] = None
        self.keywords.setdefault(octets, {}).update(dict.fromkeys(keywords))


def follow(case: Case, actions: tuple[Action, ...], sheet: Sheet) -> Refusal | None:
    """Do what a script decides, in its order; return why the message is refused, or None."""
    refusal: Refusal | None = None
    stored = lost = False
    for action in actions:
        if isinstance(action, Keep | FileInto):
            _put(case, action, sheet)
            stored = True
        elif isinstance(action, Redirect | RedirectList):
            lost = not _redirect(case, action, sheet) or lost
        elif isinstance(action, Reject):
            refusal = Refusal(REFUSED, action.reason, exact=not action.ereject)
        elif isinstance(action, Vacation):
            _answer(case, action, sheet)
        elif isinstance(action, Notify):
            _notify(case, action, sheet)
    if lost and not stored:
        _put(case, Keep(implicit=True), sheet)
    return refusal


def _put(case: Case, action: Keep | FileInto, sheet: Sheet) -> None:
    wanted = places.keywords(action.flags)
    if isinstance(action, FileInto):
        sheet.put(action.message, place_of(case, action), wanted)
        return
    # Only the implicit keep bows to the judgement: whoever keeps a message wants it in the Inbox.
    is_junk = action.implicit and case.read.arriving.is_junk
    place = ingest.place_for(case.tx, case.account, is_junk=is_junk)
    sheet.put(action.message, place, [*wanted, *([JUNK] if is_junk else [])])


def place_of(case: Case, action: FileInto | Fcc) -> int:
    """Return the key of the Mailbox that an action means; the Inbox, if it is not there and is not to be made."""
    tx, account = case.tx, case.account
    found = None if action.mailbox_id is None else places.with_id(tx, account, action.mailbox_id)  # RFC 9042 §4
    if found is None and action.special_use is not None:
        found = places.with_use(tx, account, action.special_use)  # RFC 8579 §4
    if found is None and action.create:
        found = places.create(tx, account, action.mailbox, action.special_use)
    elif found is None:
        found = places.find(tx, account, action.mailbox)
    if found is None:
        log.info("There is no mailbox “%s” for %s: the message goes to the Inbox", action.mailbox, case.user.address)
        found = ingest.place_for(tx, account)
    return found


def _redirect(case: Case, action: Redirect | RedirectList, sheet: Sheet) -> bool:
    """Send the message on; False if it was not, or not to everybody."""
    if isinstance(action, Redirect):
        targets = [action.address]
    else:
        targets = list(islice(lists.members(case.tx, case.account, action.uri), MOST_LISTED + 1))
        if not 0 < len(targets) <= MOST_LISTED:
            log.warning("A message was not sent on to the %d or more members of %s", len(targets), action.uri)
            return False
    sent = [_redirect_to(case, target, action.message, sheet) for target in targets]
    return all(sent)


def _redirect_to(case: Case, address: str, octets: bytes | None, sheet: Sheet) -> bool:
    key = address.lower()
    if key in sheet.sent_to:
        return True
    reason = redirecting.redirect(case, address, octets)
    if reason:
        log.warning("A message was not sent on to %s: %s", address, reason)
        return False
    sheet.sent_to.add(key)
    return True


def _answer(case: Case, action: Vacation, sheet: Sheet) -> None:
    if sheet.is_answered:
        return
    sheet.is_answered = True
    answer = replies.by_script(case, action)
    if answer.octets is None:
        log.info("No answer: %s", answer.reason)
    elif action.fcc is not None:
        _copy(case, action.fcc, answer.octets)


def _notify(case: Case, action: Notify, sheet: Sheet) -> None:
    if action in sheet.notified:
        return
    sheet.notified.add(action)
    octets = redirecting.notify(case, action)
    if octets is not None and action.fcc is not None:
        _copy(case, action.fcc, octets)


def _copy(case: Case, fcc: Fcc, octets: bytes) -> None:
    """File a copy of a message of ours (RFC 8580 §3)."""
    case.keep_copy(octets, place_of(case, fcc), places.keywords(fcc.flags))


def store(case: Case, sheet: Sheet) -> None:
    """Store the message: once for each form that it was given."""
    for octets, mailboxes in sheet.places.items():
        parsed = case.read.parsed if octets is None else ingest.parse(octets)
        ingest.place(
            case.tx,
            case.account,
            parsed,
            mailboxes=list(mailboxes),
            keywords=list(sheet.keywords[octets]),
            received_at=case.read.arriving.received_at,
        )


def answer_by_settings(case: Case, sheet: Sheet) -> None:
    """Answer as the VacationResponse is set, if the message was delivered (RFC 8621 §8), and not put away.

    A script that has decided about an answer goes before.
    """
    if sheet.is_answered or not current(case.tx, case.account).is_enabled:
        return
    keys = {mailbox for mailboxes in sheet.places.values() for mailbox in mailboxes}
    roles = [case.tx.value("SELECT role FROM mailbox WHERE key = ?", (key,)) for key in keys]
    if any(role not in _NOT_DELIVERED for role in roles):
        answer = replies.by_settings(case)
        if answer.octets is None:
            log.debug("No vacation response: %s", answer.reason)
