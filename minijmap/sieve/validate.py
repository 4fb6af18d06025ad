"""SieveScript/validate: whether a script could be stored, without storing it (RFC 9661 §2.6)."""

from typing import Any

from minijmap.jmap.call import Argument, Call
from minijmap.jmap.errors import InvalidArguments, SetError
from minijmap.jmap.methods import Method
from minijmap.jmap.standard import ACCOUNT
from minijmap.jmap.values import Id
from minijmap.sieve.capability import SIEVE
from minijmap.sieve.script import INVALID_SIEVE, check_content
from minijmap.store import blobs

VALIDATE_ARGUMENTS = {"accountId": ACCOUNT, "blobId": Argument(Id(), required=True)}


def validate(call: Call) -> dict[str, Any]:
    """Answer SieveScript/validate. Raises InvalidArguments when the account has no such blob."""
    arguments = call.arguments(VALIDATE_ARGUMENTS)
    access = call.access(arguments["accountId"])
    octets = blobs.open_blob(call.reader(), access.account, arguments["blobId"])
    if octets is None:
        raise InvalidArguments(f"There is no blob “{arguments['blobId'][:64]}”.", arguments=["blobId"])
    error = None
    try:
        check_content(octets)
    except SetError as problem:
        # §2.6 knows one error: a script that is too large is told as what can't be stored, like any other.
        error = SetError(INVALID_SIEVE, problem.description).json()
    return {"accountId": access.account_id, "error": error}


SIEVE_SCRIPT_VALIDATE = Method("SieveScript/validate", SIEVE, validate)
