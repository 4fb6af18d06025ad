"""Which script is active, and how that goes together with the VacationResponse (RFC 9661 §2.1, §4).

A user has at most one active script, and a VacationResponse that is enabled or not. The two are separate: filters and
the vacation response run side by side, and turning one on never turns the other off behind somebody's back. Clients of
either type see what they expect:

- The VacationResponse is shown as a script once it was set up. Its content is what it does, as Sieve.
- `isActive` of that script is whether it is enabled and no other script is active: so there is never more than one
  active script, and with a user's script active it answers all the same.
- Activating it as a script enables the VacationResponse, and deactivates the script that was active. It was then
  turned on as a script, so activating another script turns it off again. When a client has enabled it by
  VacationResponse/set, activating a script leaves it enabled: it is just not shown as the active one.
- Deactivating the active script, when that is the VacationResponse's, disables the VacationResponse.
- With the user's script deactivated, an enabled VacationResponse is what is active, and is shown so.
"""

from typing import Final

from minijmap.mail import vacation
from minijmap.sieve import scripts
from minijmap.sieve.scripts import VACATION, Stored
from minijmap.store import blobs
from minijmap.store.database import Transaction

NAME: Final = "Vacation response"
"""What the script is called that shows the VacationResponse."""


def activate(tx: Transaction, account: int, key: int) -> bool:
    """Make a script the active one, in place of the one that is; False if there is no such script."""
    script = scripts.load(tx, account, key)
    if script is None:
        return False
    current = scripts.active(tx, account)
    if current is not None and current.key != key:
        _turn_off(tx, account, current, for_good=current.chosen)
    if script.kind == VACATION:
        vacation.enable(tx, account, is_enabled=True)
        scripts.choose(tx, account, chosen=True)
    elif not script.is_active:
        scripts.change(tx, account, script, isActive=True)
    _mirror(tx, account)
    return True


def deactivate(tx: Transaction, account: int) -> None:
    """Have the active script, if there is one, active no longer."""
    current = scripts.active(tx, account)
    if current is not None:
        _turn_off(tx, account, current, for_good=True)
        _mirror(tx, account)


def follow_vacation(tx: Transaction, account: int) -> None:
    """Bring the script that shows the VacationResponse up to date, after that was changed."""
    from minijmap.sieve import vacationscript

    response = vacation.current(tx, account)
    content = blobs.pack(vacationscript.source(response))
    script = scripts.of_vacation(tx, account)
    if script is None:
        scripts.add(tx, account, scripts.free_name(tx, account, NAME), content, VACATION)
    elif script.document["blobId"] != content.blob_id:
        scripts.change(tx, account, script, content)
    if not response.is_enabled:
        scripts.choose(tx, account, chosen=False)
    _mirror(tx, account)


def _turn_off(tx: Transaction, account: int, script: Stored, *, for_good: bool) -> None:
    if script.kind != VACATION:
        scripts.change(tx, account, script, isActive=False)
    elif for_good:
        vacation.enable(tx, account, is_enabled=False)
        scripts.choose(tx, account, chosen=False)


def _mirror(tx: Transaction, account: int) -> None:
    """Show whether the VacationResponse is what is active."""
    script = scripts.of_vacation(tx, account)
    if script is None:
        return
    others = [key for key, is_active in scripts.flags(tx, account).items() if is_active and key != script.key]
    shown = vacation.current(tx, account).is_enabled and not others
    if shown != script.is_active:
        scripts.change(tx, account, script, isActive=shown)
