"""Sending, as tests do it: a message of Alice's, one submission, what is in the queue."""

from minijmap.mail import check

CORE, MAIL = "urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail"
SUBMISSION = "urn:ietf:params:jmap:submission"
DAY = 24 * 3600
QUEUED = {"smtpReply": "250 2.1.5 Queued", "delivered": "queued", "displayed": "unknown"}


def raw(*fields, sender="alice@example.com", to="bob@example.com"):
    """Return a message."""
    lines = [f"From: {sender}", f"To: {to}", "Subject: Hello", *fields, "", "Hello Bob"]
    return "\r\n".join(lines).encode()


def send(house, email_id, creation_id="k", identity="i1", user="alice@example.com", **more):
    """Create one submission; return what was created, or the error."""
    wanted = {"emailId": email_id, "identityId": identity, **more}
    answer = house.call("EmailSubmission/set", {"create": {creation_id: wanted}}, user)
    return (answer["created"] or {}).get(creation_id) or answer["notCreated"][creation_id]


def envelope(*recipients, sender="alice@example.com", **parameters):
    """Return an Envelope object."""
    return {
        "mailFrom": {"email": sender, "parameters": parameters or None},
        "rcptTo": [{"email": one} for one in recipients],
    }


def got(house, submission_id, *properties):
    """Return a submission."""
    (one,) = house.call("EmailSubmission/get", {"ids": [submission_id], "properties": list(properties) or None})["list"]
    return one


def update(house, submission_id, **patch):
    """Update one submission; return what was updated, or the error."""
    answer = house.call("EmailSubmission/set", {"update": {submission_id: patch}})
    return answer["notUpdated"][submission_id] if answer["notUpdated"] else answer["updated"][submission_id]


def queued(house):
    """Return (sender, recipient, time of the next attempt) of everything in the queue."""
    with house.database.read() as reader:
        assert list(check.problems(reader)) == []
        return reader.all(
            "SELECT sender, address, next_attempt FROM queue_recipient AS r JOIN queue_message AS m ON m.key = r.message "
            "ORDER BY r.key"
        )
