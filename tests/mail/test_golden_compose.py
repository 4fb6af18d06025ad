"""Golden messages: folders of an Email object to create, the octets it becomes, and how those are shown again.

`request.json` has `email` and `blobs` (id → base64), `message.eml` is what compose writes at a fixed time with counted tokens,
and `response.json` is what Email/parse shows of it. `python -m tests.mail.test_golden_compose` writes the two results anew:
read the difference before it is committed.
"""

import base64
import itertools
import json
import sys
from pathlib import Path

import pytest

from minijmap.mail.compose import compose
from minijmap.store import blobs

FOLDERS = sorted((Path(__file__).parent / "composed").iterdir())
NOW = 1_767_225_600_000  # 2026-01-01T00:00:00Z
PROPERTIES = [
    *("messageId", "inReplyTo", "references", "sender", "from", "to", "cc", "bcc", "replyTo", "subject", "sentAt"),
    *("hasAttachment", "preview", "bodyStructure", "bodyValues", "textBody", "htmlBody", "attachments", "headers"),
]


def written(folder):
    """Compose a folder's Email."""
    request = json.loads((folder / "request.json").read_text())
    octets = {name: base64.b64decode(text) for name, text in request["blobs"].items()}
    numbers = itertools.count(1)
    return compose(
        request["email"],
        open_blob=octets.get,
        now_ms=NOW,
        hostname="example.com",
        random_token=lambda: f"token-{next(numbers)}",
    )


def shown(house, message):
    """Show a message by Email/parse, without the ids that its own digest gives."""
    account = house.users["alice@example.com"].account

    def upload(tx):
        blob = blobs.pack(message)
        blobs.add_upload(tx, blobs.store(tx, blob), account, NOW)
        return blob.blob_id

    blob_id = house.database.write(upload)
    arguments = {
        "blobIds": [blob_id],
        "properties": PROPERTIES,
        "bodyProperties": ["partId", "size", "name", "type", "charset", "disposition", "cid", "language", "location"],
        "fetchAllBodyValues": True,
    }
    return house.call("Email/parse", arguments)["parsed"][blob_id]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_message_is_written_as_it_stands(folder):
    """The octets are those of message.eml."""
    assert written(folder) == (folder / "message.eml").read_bytes()


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_message_is_shown_as_it_stands(house, folder):
    """What is read of message.eml is response.json."""
    assert shown(house, (folder / "message.eml").read_bytes()) == json.loads((folder / "response.json").read_text())


if __name__ == "__main__":
    import tempfile

    from tests.conftest import House

    household = House(Path(tempfile.mkdtemp()) / "data")
    for one in FOLDERS:
        (one / "message.eml").write_bytes(written(one))
        text = json.dumps(shown(household, written(one)), indent=1, ensure_ascii=False)
        (one / "response.json").write_text(text + "\n")
        sys.stdout.write(f"{one.name}\n")
    household.database.close()
