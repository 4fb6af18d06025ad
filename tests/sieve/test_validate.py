"""SieveScript/validate: the same answer as storing would give, and nothing is stored (RFC 9661 §2.6)."""

import pytest

from minijmap.sieve.limits import LIMITS
from tests.sieve.inhouse import BOB, scripts, upload


def validate(house, script):
    """Validate a script; return the response."""
    return house.call("SieveScript/validate", {"blobId": upload(house, script)})


def test_a_script_that_is_right(house):
    """There is no error, and no script."""
    assert validate(house, "keep;\r\n") == {"accountId": house.account(), "error": None}
    assert scripts(house) == {}


@pytest.mark.parametrize(
    ("script", "line"),
    [("keep", 1), ("# fine\r\nif true {", 2), ('require ["x-unknown"];', 1), ("", 1), (b"\xff", 1)],
)
def test_a_script_that_is_wrong(house, script, line):
    """The error is the one that /set would give, with the line."""
    error = validate(house, script)["error"]

    assert error["type"] == "invalidSieve"
    assert f"line {line}" in error["description"]


def test_a_script_that_is_too_large(house):
    """The error says that, without looking further."""
    assert validate(house, "#" * LIMITS.script_size + "\r\n")["error"]["type"] == "invalidSieve"


def test_a_blob_that_is_not_there(house):
    """Or not the user's: the call fails."""
    theirs = upload(house, "keep;", BOB)

    for arguments in ({"blobId": "b" + "0" * 40}, {"blobId": theirs}, {}):
        assert house.call("SieveScript/validate", arguments)["type"] == "invalidArguments"
