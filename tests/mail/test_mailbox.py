"""Mailboxes: their properties, what they demand of each other, and how they go (RFC 8621 §2, §2.1, §2.2, §2.5)."""

import unicodedata

import pytest

from minijmap.mail.capability import DEEPEST_MAILBOX, LONGEST_MAILBOX_NAME
from tests.mail.mailmodel import damage, get, make_mailbox, message, put, set_email

NOT_COUNTS = {"name", "parentId", "role", "sortOrder", "isSubscribed", "myRights"}


def set_mailbox(house, **arguments):
    """Call Mailbox/set."""
    return house.call("Mailbox/set", arguments)


def refused(house, **properties):
    """The SetError of a create."""
    answer = set_mailbox(house, create={"k": properties})
    assert answer["created"] is None
    return answer["notCreated"]["k"]


def name_of(house, mailbox_id):
    """A Mailbox's name, None if it is gone."""
    found = house.call("Mailbox/get", {"ids": [mailbox_id], "properties": ["name"]})["list"]
    return found[0]["name"] if found else None


def test_a_new_account_has_the_six_mailboxes(house):
    """Each with every property of the RFC, in the types it says."""
    answer = house.call("Mailbox/get")

    shown = sorted(answer["list"], key=lambda one: one["sortOrder"])
    assert [one["role"] for one in shown] == ["inbox", "drafts", "sent", "archive", "junk", "trash"]
    assert answer["notFound"] == []
    inbox = shown[0]
    rights = inbox.pop("myRights")
    assert inbox == {
        "id": house.mailbox("inbox"), "name": "Inbox", "parentId": None, "role": "inbox", "sortOrder": 1, "totalEmails": 0,
        "unreadEmails": 0, "totalThreads": 0, "unreadThreads": 0, "isSubscribed": True,
    }  # fmt: skip
    assert rights == {
        "mayReadItems": True, "mayAddItems": True, "mayRemoveItems": True, "maySetSeen": True, "maySetKeywords": True,
        "mayCreateChild": True, "mayRename": True, "mayDelete": False, "maySubmit": True,
    }  # fmt: skip


def test_create_answers_with_all_that_the_client_did_not_say(house):
    """Defaults and server-set properties come back, what was given does not (RFC 8620 §5.3)."""
    answer = set_mailbox(house, create={"k": {"name": "Work", "sortOrder": 7}})

    created = answer["created"]["k"]
    assert created.pop("id").startswith("m")
    assert created.pop("myRights")["mayDelete"] is True
    assert created == {
        "parentId": None, "role": None, "isSubscribed": True,
        "totalEmails": 0, "unreadEmails": 0, "totalThreads": 0, "unreadThreads": 0,
    }  # fmt: skip
    assert {name: answer[name] for name in ("updated", "destroyed", "notCreated")} == dict.fromkeys(
        ("updated", "destroyed", "notCreated")
    )


@pytest.mark.parametrize("name", ["", None, 7, "a\x00b", "a\nb", "a\x7fb", "x" * (LONGEST_MAILBOX_NAME + 1), "é" * 128])
def test_names_that_are_no_names(house, name):
    """A name is Net-Unicode of at least one character and at most the octets that are announced."""
    error = refused(house, name=name)

    assert (error["type"], error["properties"]) == ("invalidProperties", ["name"])


@pytest.mark.parametrize("name", [" ", "a/b", "x" * LONGEST_MAILBOX_NAME, "📬", "INBOX"])
def test_names_that_are(house, name):
    """Anything else is a name; only the very same name is the same."""
    assert name_of(house, make_mailbox(house, name)) == name


def test_a_name_is_kept_in_nfc_and_the_client_hears_of_it(house):
    """RFC 5198 asks for NFC: what differs from what was sent comes back, and equal names in NFC are equal."""
    decomposed = unicodedata.normalize("NFD", "Büro")
    answer = set_mailbox(house, create={"k": {"name": decomposed}})

    assert answer["created"]["k"]["name"] == "Büro"
    assert refused(house, name="Büro")["type"] == "alreadyExists"
    other = make_mailbox(house, "Other")
    assert set_mailbox(house, update={other: {"name": unicodedata.normalize("NFD", "é")}})["updated"] == {
        other: {"name": "é"}
    }


def test_siblings_have_different_names(house):
    """A second of the same name is alreadyExists with the id of the first; under another parent it is well."""
    first = make_mailbox(house, "Outbox")

    error = refused(house, name="Outbox")
    assert (error["type"], error["existingId"]) == ("alreadyExists", first)
    inner = make_mailbox(house, "Outbox", parentId=first)
    answer = set_mailbox(house, update={inner: {"parentId": None}})
    assert answer["notUpdated"][inner]["type"] == "alreadyExists"
    assert answer["notUpdated"][inner]["existingId"] == first


def test_roles_are_known_and_given_once(house):
    """A role is of the registry in lower case, and no two Mailboxes have the same."""
    assert refused(house, name="a", role="Archive")["properties"] == ["role"]
    assert refused(house, name="a", role="nonsense")["properties"] == ["role"]
    error = refused(house, name="a", role="trash")
    assert (error["type"], error["properties"]) == ("invalidProperties", ["role"])
    assert make_mailbox(house, "Wichtig", role="important")


def test_two_mailboxes_change_names_and_roles_in_one_call(house):
    """The end counts, not the way there (RFC 8620 §5.3)."""
    junk, trash = house.mailbox("junk"), house.mailbox("trash")
    update = {junk: {"name": "Trash", "role": "trash"}, trash: {"name": "Junk", "role": "junk"}}

    answer = set_mailbox(house, update=update)

    assert answer["notUpdated"] is None
    assert house.mailbox("trash") == junk
    assert name_of(house, junk) == "Trash"
    assert damage(house) == []


def test_names_go_round_in_a_ring_and_a_new_one_takes_an_old_name(house):
    """A → B → C → A, and a create takes the name that an update frees."""
    a, b, c = (make_mailbox(house, name) for name in "ABC")

    assert set_mailbox(house, update={a: {"name": "B"}, b: {"name": "C"}, c: {"name": "A"}})["notUpdated"] is None
    assert [name_of(house, one) for one in (a, b, c)] == ["B", "C", "A"]
    answer = set_mailbox(house, create={"k": {"name": "A"}}, update={c: {"name": "D"}})
    assert (answer["notCreated"], answer["notUpdated"]) == (None, None)
    answer = set_mailbox(house, create={"k": {"name": "D"}}, destroy=[c])
    assert (answer["notCreated"], answer["notDestroyed"]) == (None, None)


def test_when_the_end_is_invalid_each_is_judged_in_turn(house):
    """Creates, updates, destroys in this order: what can be done is done, the rest has its own error."""
    a, b = make_mailbox(house, "A"), make_mailbox(house, "B")

    answer = set_mailbox(house, update={a: {"name": "C"}, b: {"name": "Inbox"}})

    assert answer["updated"] == {a: None}
    assert answer["notUpdated"][b]["type"] == "alreadyExists"
    assert [name_of(house, one) for one in (a, b)] == ["C", "B"]


def test_parents_must_be_there_and_above(house):
    """An unknown parent, oneself, and one's own descendant are no parents."""
    a = make_mailbox(house, "A")
    b = make_mailbox(house, "B", parentId=a)
    c = make_mailbox(house, "C", parentId=b)

    assert refused(house, name="x", parentId="m999")["properties"] == ["parentId"]
    assert refused(house, name="x", parentId="e1")["properties"] == ["parentId"]
    for parent in (a, b, c):
        error = set_mailbox(house, update={a: {"parentId": parent}})["notUpdated"][a]
        assert (error["type"], error["properties"]) == ("invalidProperties", ["parentId"])
    assert set_mailbox(house, update={a: {"parentId": c}, b: {"parentId": None}})["notUpdated"] is None


def test_two_cannot_be_inside_of_each_other(house):
    """A loop that only both updates together make is found: one of them is refused."""
    a, b = make_mailbox(house, "A"), make_mailbox(house, "B")

    answer = set_mailbox(house, update={a: {"parentId": b}, b: {"parentId": a}})

    assert answer["updated"] == {a: None}
    assert answer["notUpdated"][b]["properties"] == ["parentId"]


def test_another_account_has_no_parents_for_us(house):
    """An id of somebody else's Mailbox is not found."""
    assert refused(house, name="x", parentId=house.mailbox("inbox", "bob@example.com"))["properties"] == ["parentId"]


def test_the_tree_is_as_deep_as_announced_and_no_deeper(house):
    """MaxMailboxDepth counts levels; moving a subtree down counts its own height too."""
    parent = None
    for level in range(DEEPEST_MAILBOX):
        parent = make_mailbox(house, f"level {level}", parentId=parent)

    assert refused(house, name="x", parentId=parent)["properties"] == ["parentId"]
    top = house.call("Mailbox/query", {"filter": {"name": "level 0"}})["ids"][0]
    box = make_mailbox(house, "box")
    error = set_mailbox(house, update={top: {"parentId": box}})["notUpdated"][top]
    assert error["properties"] == ["parentId"]


def test_a_tree_is_created_in_one_call_in_any_order(house):
    """A creation id stands for the parent, created later or earlier in the map (RFC 8620 §5.3)."""
    answer = set_mailbox(
        house,
        create={
            "leaf": {"name": "leaf", "parentId": "#mid"},
            "mid": {"name": "mid", "parentId": "#top"},
            "top": {"name": "top"},
        },
    )

    assert answer["notCreated"] is None
    created = answer["created"]
    assert created["leaf"]["parentId"] == created["mid"]["id"]
    assert created["mid"]["parentId"] == created["top"]["id"]


def test_creation_ids_that_go_in_a_circle_create_nothing(house):
    """Each needs the other first."""
    answer = set_mailbox(house, create={"a": {"name": "a", "parentId": "#b"}, "b": {"name": "b", "parentId": "#a"}})

    assert answer["created"] is None
    assert {one["type"] for one in answer["notCreated"].values()} == {"invalidProperties"}


@pytest.mark.parametrize(
    "property_", ["id", "totalEmails", "unreadEmails", "totalThreads", "unreadThreads", "myRights"]
)
def test_server_set_properties_are_the_servers(house, property_):
    """Never on create; on update only as they are."""
    box = make_mailbox(house, "A")
    (whole,) = house.call("Mailbox/get", {"ids": [box]})["list"]

    assert refused(house, **{"name": "B", property_: whole[property_]})["properties"] == [property_]
    assert set_mailbox(house, update={box: {property_: whole[property_]}})["updated"] == {box: None}
    error = set_mailbox(house, update={box: {property_: 5}})["notUpdated"][box]
    assert (error["type"], error["properties"]) == ("invalidProperties", [property_])


def test_a_whole_mailbox_may_be_sent_back(house):
    """A whole object is a patch too (RFC 8620 §5.3), and one that changes nothing changes no state."""
    box = house.call("Mailbox/get")["list"][0]

    answer = set_mailbox(house, update={box["id"]: box})

    assert answer["updated"] == {box["id"]: None}
    assert answer["oldState"] == answer["newState"]


@pytest.mark.parametrize("value", [-1, 2**31, "1", 1.5, None])
def test_sort_order_is_below_two_to_the_31(house, value):
    """0 ≤ sortOrder < 2^31; null is the default 0."""
    box = make_mailbox(house, "A", sortOrder=2**31 - 1)
    answer = set_mailbox(house, update={box: {"sortOrder": value}})

    if value is None:
        assert answer["updated"] == {box: {"sortOrder": 0}}
    else:
        assert answer["notUpdated"][box]["properties"] == ["sortOrder"]


def test_a_mailbox_with_emails_is_not_destroyed_unless_asked(house):
    """mailboxHasEmail; with onDestroyRemoveEmails those nowhere else are destroyed, others only leave."""
    box, inbox = make_mailbox(house, "A"), house.mailbox("inbox")
    only, both = put(house, message("one"), [box]), put(house, message("two"), [box, inbox])

    assert set_mailbox(house, destroy=[box])["notDestroyed"][box]["type"] == "mailboxHasEmail"
    assert set_mailbox(house, destroy=[box], onDestroyRemoveEmails=True)["destroyed"] == [box]
    assert house.call("Email/get", {"ids": [only], "properties": ["id"]})["notFound"] == [only]
    assert get(house, both, "mailboxIds") == {inbox: True}
    assert damage(house) == []


def test_a_mailbox_with_children_is_never_destroyed_and_keeps_its_emails(house):
    """mailboxHasChild, even with onDestroyRemoveEmails: neither the child nor an Email goes (clarification Q18)."""
    parent = make_mailbox(house, "A")
    child = make_mailbox(house, "B", parentId=parent)
    email, inner = put(house, message("one"), [parent]), put(house, message("two"), [child])
    state = house.call("Email/get", {"ids": []})["state"]

    for remove in (False, True):
        answer = set_mailbox(house, destroy=[parent], onDestroyRemoveEmails=remove)
        assert answer["destroyed"] is None
    assert answer["notDestroyed"][parent]["type"] == "mailboxHasChild"
    assert get(house, email, "mailboxIds") == {parent: True}
    assert get(house, inner, "mailboxIds") == {child: True}
    assert house.call("Email/get", {"ids": []})["state"] == state


@pytest.mark.parametrize("turned", [False, True])
def test_parent_and_child_go_together_in_any_order(house, turned):
    """The final state is what counts."""
    parent = make_mailbox(house, "A")
    child = make_mailbox(house, "B", parentId=parent)
    put(house, message("one"), [parent])
    put(house, message("two"), [child])
    doomed = [child, parent] if turned else [parent, child]

    answer = set_mailbox(house, destroy=doomed, onDestroyRemoveEmails=True)

    assert (answer["destroyed"], answer["notDestroyed"]) == (doomed, None)
    assert damage(house) == []


def test_a_child_that_stays_keeps_its_parent(house):
    """If the child can't go, neither can the parent; each says why."""
    parent = make_mailbox(house, "A")
    child = make_mailbox(house, "B", parentId=parent)
    put(house, message(), [child])

    answer = set_mailbox(house, destroy=[parent, child])

    assert {one: error["type"] for one, error in answer["notDestroyed"].items()} == {
        parent: "mailboxHasChild", child: "mailboxHasEmail",
    }  # fmt: skip


def test_a_child_may_move_out_while_its_parent_goes(house):
    """An update and a destroy that only together are well."""
    parent = make_mailbox(house, "A")
    child = make_mailbox(house, "B", parentId=parent)

    answer = set_mailbox(house, update={child: {"parentId": None}}, destroy=[parent])

    assert (answer["updated"], answer["destroyed"]) == ({child: None}, [parent])


def test_the_inbox_stays(house):
    """Its myRights say mayDelete: false, and a destroy is forbidden."""
    inbox = house.mailbox("inbox")

    assert set_mailbox(house, destroy=[inbox])["notDestroyed"][inbox]["type"] == "forbidden"
    assert set_mailbox(house, destroy=["m999", "x"])["notDestroyed"] == {
        "m999": {"type": "notFound"}, "x": {"type": "notFound"},
    }  # fmt: skip


def test_mail_arrives_even_when_nothing_has_the_inbox_role(house):
    """A user may take the role away: a new Inbox is made for the next message, under a name that no sibling has."""
    inbox = house.mailbox("inbox")
    assert set_mailbox(house, update={inbox: {"role": None}})["notUpdated"] is None

    email = house.deliver(message())

    new = house.mailbox("inbox")
    assert get(house, email, "mailboxIds") == {new: True}
    names = [one["name"] for one in house.call("Mailbox/get")["list"] if one["parentId"] is None]
    assert len(names) == len(set(names))


def test_changes_tell_counts_from_the_rest(house):
    """UpdatedProperties names the four counts if nothing else has changed since, and is null otherwise (§2.2)."""
    inbox = house.mailbox("inbox")
    state = house.call("Mailbox/get", {"ids": []})["state"]
    email = house.deliver(message())

    changes = house.call("Mailbox/changes", {"sinceState": state})
    assert (changes["created"], changes["updated"], changes["destroyed"]) == ([], [inbox], [])
    assert set(changes["updatedProperties"]) == {"totalEmails", "unreadEmails", "totalThreads", "unreadThreads"}

    set_mailbox(house, update={inbox: {"isSubscribed": False}})
    assert house.call("Mailbox/changes", {"sinceState": state})["updatedProperties"] is None
    later = house.call("Mailbox/get", {"ids": []})["state"]
    assert set_email(house, email, {"keywords/$seen": True}) is None
    assert house.call("Mailbox/changes", {"sinceState": later})["updatedProperties"] is not None
    nothing = house.call("Mailbox/changes", {"sinceState": house.call("Mailbox/get", {"ids": []})["state"]})
    assert nothing["updatedProperties"] is None


def test_a_keyword_that_no_count_looks_at_changes_no_mailbox(house):
    """$flagged is no matter of Mailboxes: their state stays."""
    email = house.deliver(message())
    state = house.call("Mailbox/get", {"ids": []})["state"]

    set_email(house, email, {"keywords/$flagged": True})

    assert house.call("Mailbox/get", {"ids": []})["state"] == state


def test_the_state_of_an_empty_account_can_be_used(house):
    """Email and Thread have never changed: their first state is good for /changes, which echoes it."""
    for name in ("Email", "Thread"):
        state = house.call(f"{name}/get", {"ids": []})["state"]
        changes = house.call(f"{name}/changes", {"sinceState": state})
        assert (changes["oldState"], changes["newState"], changes["hasMoreChanges"]) == (state, state, False)


def test_the_capability_announces_what_is_enforced(house):
    """RFC 8621 §1.3.1's members, each of its type; the sorts announced are those that work."""
    from minijmap.jmap.session import login_of
    from minijmap.mail.capability import account_capability
    from minijmap.mail.emailquery import SORTS

    shown = account_capability(list(SORTS)).account(login_of(house.users["alice@example.com"]).accounts[0])

    assert shown["maxMailboxDepth"] == DEEPEST_MAILBOX
    assert shown["maxSizeMailboxName"] >= 100
    assert shown["mayCreateTopLevelMailbox"] is True
    for name in shown["emailQuerySortOptions"]:
        assert "ids" in house.call("Email/query", {"sort": [{"property": name, "keyword": "$seen"}]})
