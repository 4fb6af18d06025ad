"""PushSubscription/get and /set: what may be asked for, what is shown, and to whom (RFC 8620 §7.2)."""

import json

import pytest

from minijmap.jmap.session import CORE, login_of
from minijmap.push import p256, subscription
from minijmap.store import accounts
from tests.conftest import MAIL
from tests.push.yard import ALICE, BOB, EMAIL_PUSH, Yard

URL = "https://push.example.net/abc"
POINT = p256.encode(p256.public_of((7).to_bytes(32, "big")))
KEYS = {"p256dh": POINT, "auth": p256.encode(b"0123456789abcdef")}
DAY = 24 * 3600


@pytest.fixture
def shop(house):
    """Give a household without a sender, where private networks are not allowed."""
    return Yard(house, private=False)


def made(shop, **properties):
    """Create a subscription; return its properties in the answer, or the error."""
    given = {"deviceClientId": "a889-ffea-910", "url": URL, **properties}
    answer = shop.call("PushSubscription/set", {"create": {"4f29": given}}, using=(CORE, MAIL))
    assert set(answer) == {"created", "updated", "destroyed", "notCreated", "notUpdated", "notDestroyed"}
    return answer["created"]["4f29"] if answer["created"] else answer["notCreated"]["4f29"]


def refused(shop, *names, **properties):
    """Create a subscription that is refused for these properties; return the sentence."""
    error = made(shop, **properties)
    assert error["type"] == "invalidProperties", error
    assert error["properties"] == list(names)
    return error["description"]


def changed(shop, which, patch, user=ALICE, credential=None):
    """Update a subscription; return what the answer says of it, or the error."""
    answer = shop.call("PushSubscription/set", {"update": {which: patch}}, user, credential)
    return answer["updated"][which] if answer["updated"] else answer["notUpdated"][which]


def listed(shop, user=ALICE, credential=None, **arguments):
    """Return what /get answers."""
    return shop.call("PushSubscription/get", {"ids": None, **arguments}, user, credential)


def code(shop, which):
    """Return the code that is pushed."""
    return shop.row(which)["code"]


def test_the_example_of_the_rfc(shop):
    """RFC 8620 §7.2.3: create, verify, extend, with the answers as they stand there."""
    assert listed(shop) == {"list": [], "notFound": []}
    created = made(shop, types=None)
    assert created == {"id": "P1", "keys": None, "expires": "2026-01-31T00:00:00Z", "verificationCode": None}
    assert changed(shop, "P1", {"verificationCode": code(shop, "P1")}) is None
    assert changed(shop, "P1", {"expires": "2027-01-01T00:00:00Z"}) == {"expires": "2026-01-31T00:00:00Z"}
    assert changed(shop, "P1", {"expires": "2026-01-20T00:00:00Z"}) is None
    answer = shop.call("PushSubscription/get", {"ids": None}, using=(CORE,))
    assert answer == {
        "list": [
            {
                "id": "P1",
                "deviceClientId": "a889-ffea-910",
                "verificationCode": code(shop, "P1"),
                "expires": "2026-01-20T00:00:00Z",
                "types": None,
            }
        ],
        "notFound": [],
    }


def test_no_account_and_no_state(shop):
    """RFC 8620 §7.2.1, §7.2.2: neither is taken nor returned; under `strict_using` they are refused by name."""
    made(shop)
    assert set(listed(shop)) == {"list", "notFound"}
    strict = shop.house.make_engine(strict_using=True)
    login = login_of(shop.house.users[ALICE], shop.house.credentials[ALICE])
    for name, argument in (("get", {"accountId": "a1"}), ("set", {"accountId": "a1"}), ("set", {"ifInState": "0"})):
        body = {"using": [CORE], "methodCalls": [[f"PushSubscription/{name}", argument, "c"]]}
        answered = json.loads(strict.handle(login, json.dumps(body).encode()))["methodResponses"][0]
        assert answered[1]["type"] == "invalidArguments"
        assert answered[1]["arguments"] == list(argument)


@pytest.mark.parametrize("verb", ["changes", "query", "queryChanges", "copy"])
def test_there_are_only_get_and_set(shop, verb):
    """RFC 8620 §7.2 has no other method of this type."""
    assert shop.call(f"PushSubscription/{verb}")["type"] == "unknownMethod"


@pytest.mark.parametrize("names", [["url"], ["keys"], ["id", "types", "keys"]])
def test_url_and_keys_are_never_shown(shop, names):
    """RFC 8620 §7.2.1: whoever asks for them is told that it is forbidden; whoever does not, does not get them."""
    which = made(shop, keys=KEYS)["id"]
    assert listed(shop, properties=names)["type"] == "forbidden"
    (shown,) = listed(shop)["list"]
    assert set(shown) == {"id", "deviceClientId", "verificationCode", "expires", "types", "emailPush"}
    assert listed(shop, properties=["nonsense"])["type"] == "invalidArguments"
    updated = changed(shop, which, {"types": ["Email"]})
    assert updated is None
    assert "abc" not in json.dumps(listed(shop))


def test_keys_are_not_in_the_answer_to_a_create_in_any_form(shop):
    """Not even where their form was mended: padding is cut off, unknown members are left out."""
    created = made(shop, keys={**KEYS, "auth": KEYS["auth"] + "==", "more": 1})
    assert set(created) == {"id", "expires", "types", "verificationCode"}
    assert json.loads(shop.row(created["id"])["keys"]) == KEYS


def test_get_by_ids(shop):
    """What there is not is `notFound`, another's too."""
    mine = made(shop)["id"]
    others = shop.create(URL, BOB)
    answer = listed(shop, ids=[mine, others, "P99", "x"], properties=["types"])
    assert answer == {"list": [{"id": mine, "types": None}], "notFound": [others, "P99", "x"]}


def test_each_credential_has_a_list_of_its_own(shop):
    """RFC 8620 §7.2: what an app password has made is seen, changed and destroyed by that one alone."""
    phone, desk = shop.token("phone"), shop.token("desk")
    by_phone, by_password = shop.create(URL, credential=phone), made(shop)["id"]
    assert [one["id"] for one in listed(shop, credential=phone)["list"]] == [by_phone]
    assert listed(shop, credential=desk)["list"] == []
    assert [one["id"] for one in listed(shop)["list"]] == [by_password]
    assert listed(shop, credential=desk, ids=[by_phone])["notFound"] == [by_phone]
    assert changed(shop, by_phone, {"types": []}, credential=desk)["type"] == "notFound"
    answer = shop.call("PushSubscription/set", {"destroy": [by_phone]}, credential=desk)
    assert answer["notDestroyed"][by_phone]["type"] == "notFound"
    assert shop.row(by_phone) is not None


def test_a_revoked_credential_takes_its_subscriptions_along(shop):
    """RFC 8620 §7.2: they are destroyed with it, by whatever process it is revoked; so does a new password."""
    phone = shop.token("phone")
    by_phone, by_password = shop.create(URL, credential=phone), made(shop)["id"]
    user = shop.house.users[ALICE]
    shop.house.database.write(lambda tx: accounts.revoke_token(tx, user, "phone"))
    assert shop.row(by_phone) is None
    assert shop.row(by_password) is not None
    shop.house.database.write(lambda tx: accounts.set_password(tx, user, "another"))
    assert shop.row(by_password) is None


def test_nobody_in_particular_has_no_subscriptions(shop):
    """A login that no credential stands behind (of the engine's own use) is refused."""
    body = json.dumps({"using": [CORE], "methodCalls": [["PushSubscription/get", {}, "c"]]}).encode()
    answered = json.loads(shop.house.engine.handle(login_of(shop.house.users[ALICE]), body))
    assert answered["methodResponses"][0][1]["type"] == "forbidden"


@pytest.mark.parametrize(
    "url",
    [
        "http://push.example.net/",
        "https://localhost/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://10.0.0.1:8443/x",
    ],
)
def test_a_plainly_private_url_is_refused(shop, url):
    """RFC 8620 §8.6, with a sentence that says what is wrong."""
    assert refused(shop, "url", url=url).startswith("“url” must ")


def test_private_urls_where_they_are_allowed(house):
    """The setting `push_to_private_networks`."""
    allowed = Yard(house, private=True)
    assert made(allowed, url="http://127.0.0.1:8080/x")["id"]
    assert refused(allowed, "url", url="ftp://127.0.0.1/x")


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"p256dh": POINT},
        {"auth": KEYS["auth"]},
        {**KEYS, "auth": p256.encode(bytes(15))},
        {**KEYS, "auth": p256.encode(bytes(17))},
        {**KEYS, "auth": ""},
        {**KEYS, "auth": 16},
        {**KEYS, "p256dh": None},
        {**KEYS, "p256dh": "!" + POINT[1:]},
        {**KEYS, "p256dh": POINT.replace("B", "+", 1)},
        {**KEYS, "p256dh": POINT[:-2]},
        {**KEYS, "p256dh": POINT + POINT},
        {**KEYS, "p256dh": "A" * 100_000},
        {**KEYS, "p256dh": p256.encode(b"\x04" + bytes(64))},
        {**KEYS, "p256dh": p256.encode(b"\x02" + p256.decode(POINT)[1:33])},
        "keys",
        [],
    ],
)
def test_bad_keys_are_refused(shop, keys):
    """Missing, too short, too long, not base64url, not a point of the curve, compressed (RFC 8291 §7)."""
    refused(shop, "keys", keys=keys)


@pytest.mark.parametrize(
    ("names", "properties"),
    [
        (["deviceClientId"], {"deviceClientId": ""}),
        (["deviceClientId"], {"deviceClientId": "x" * 5000}),
        (["deviceClientId"], {"deviceClientId": None}),
        (["types"], {"types": "Email"}),
        (["types"], {"types": [1]}),
        (["types"], {"types": ["x"] * 1000}),
        (["expires"], {"expires": "tomorrow"}),
        (["expires"], {"expires": "2025-12-31T23:59:59Z"}),
        (["verificationCode"], {"verificationCode": "guess"}),
        (["url"], {"url": None}),
        (["id"], {"id": "P7"}),
        (["colour"], {"colour": "red"}),
    ],
)
def test_bad_properties_are_refused(shop, names, properties):
    """By name."""
    refused(shop, *names, **properties)


def test_what_is_needed(shop):
    """A device and a URL."""
    answer = shop.call("PushSubscription/set", {"create": {"a": {}}})
    assert answer["notCreated"]["a"]["properties"] == ["deviceClientId", "url"]


def test_the_code_is_a_secret_that_nobody_guesses(shop):
    """Until it has been given back it is nowhere in an answer; a wrong one is refused (RFC 8620 §7.2.2)."""
    created = made(shop)
    which, secret = created["id"], code(shop, created["id"])
    assert len(p256.decode(secret)) >= 16
    assert secret not in json.dumps([created, listed(shop)])
    for wrong in ("", secret[:-1], secret + "x", "é"):
        assert changed(shop, which, {"verificationCode": wrong})["properties"] == ["verificationCode"]
    assert changed(shop, which, {"verificationCode": None}) is None
    assert shop.row(which)["phase"] == "new"
    assert changed(shop, which, {"verificationCode": secret}) is None
    assert listed(shop)["list"][0]["verificationCode"] == secret
    assert changed(shop, which, {"verificationCode": secret}) is None
    assert changed(shop, which, {"verificationCode": None})["type"] == "invalidProperties"
    assert shop.row(which)["phase"] == "verified"


def test_two_subscriptions_have_two_codes(shop):
    """The code of one does not verify the other."""
    one, other = made(shop)["id"], made(shop)["id"]
    assert changed(shop, one, {"verificationCode": code(shop, other)})["type"] == "invalidProperties"


@pytest.mark.parametrize("patch", [{"url": URL + "x"}, {"keys": None}, {"keys/auth": "x"}, {"deviceClientId": "other"}])
def test_what_is_immutable_stays(shop, patch):
    """RFC 8620 §7.2.2: to change URL or keys a client makes a new subscription."""
    which = made(shop, keys=KEYS)["id"]
    error = changed(shop, which, patch)
    assert error["type"] == "invalidProperties"
    assert URL not in json.dumps(error)


def test_expiry_is_bounded_and_extended(shop):
    """RFC 8620 §7.2: an expiry is set if none is given, and shortened; each update may move it on."""
    latest = "2026-01-31T00:00:00Z"
    assert subscription.LONGEST_LIFE >= 7 * DAY * 1000
    which = made(shop)["id"]
    assert "expires" not in made(shop, expires="2026-01-03T00:00:00Z")
    assert made(shop, expires="2100-01-01T00:00:00Z")["expires"] == latest
    assert made(shop, expires="2026-01-03T00:00:00.5Z")["expires"] == "2026-01-03T00:00:00Z"
    shop.house.now += DAY
    assert changed(shop, which, {"expires": None}) == {"expires": "2026-02-01T00:00:00Z"}
    assert changed(shop, which, {"expires": "2026-01-10T00:00:00Z"}) is None
    assert changed(shop, which, {"expires": "2026-01-01T00:00:00Z"})["type"] == "invalidProperties"


def test_what_has_expired_is_gone(shop):
    """It is not shown, can't be extended, and does not count; the upkeep erases it."""
    from minijmap.push import subscriptions

    which = made(shop, expires="2026-01-03T00:00:00Z")["id"]
    shop.house.now += 2 * DAY
    assert listed(shop)["list"] == []
    assert listed(shop, ids=[which])["notFound"] == [which]
    assert changed(shop, which, {"expires": None})["type"] == "notFound"
    shop.house.database.write(subscriptions.upkeep)
    assert shop.row(which) is None


def test_destroy(shop):
    """The row with URL and keys is gone."""
    which = made(shop)["id"]
    answer = shop.call("PushSubscription/set", {"destroy": [which, "P99"]})
    assert answer["destroyed"] == [which]
    assert answer["notDestroyed"]["P99"]["type"] == "notFound"
    assert shop.row(which) is None


def test_a_destroyed_subscription_is_erased_from_the_file(shop):
    """RFC 8620 §7.2: the URL and the keys are not left lying in the file."""
    which = made(shop, url=URL + "very-secret-path", keys=KEYS)["id"]
    path = shop.house.database.path
    shop.call("PushSubscription/set", {"destroy": [which]})
    with shop.house.database.read() as reader:
        assert reader.value("SELECT count(*) FROM push_subscription") == 0
    shop.house.database.close()
    assert b"very-secret-path" not in path.read_bytes()
    assert KEYS["auth"].encode() not in path.read_bytes()


def test_a_destroyed_subscription_is_erased_from_the_log_while_the_server_runs(shop):
    """RFC 8620 §7.2: nor in the write-ahead log, where a quiet server would have them for weeks."""
    which = made(shop, url=URL + "very-secret-path", keys=KEYS)["id"]
    shop.call("PushSubscription/set", {"destroy": [which]})
    path = shop.house.database.path
    log = path.with_name(path.name + "-wal")
    assert b"very-secret-path" in log.read_bytes()
    shop.house.database.empty_log()
    assert b"very-secret-path" not in path.read_bytes() + log.read_bytes()


def test_there_are_only_so_many(shop, monkeypatch):
    """RFC 8620 §8.6: of one credential, and of one user; to destroy one makes room."""
    monkeypatch.setattr(subscription, "MOST_OF_CREDENTIAL", 3)
    monkeypatch.setattr(subscription, "MOST_OF_USER", 4)
    first, _, _ = (made(shop)["id"] for _ in range(3))
    assert made(shop)["type"] == "overQuota"
    phone = shop.token()
    shop.create(URL, credential=phone)
    given = {"deviceClientId": "x", "url": URL}
    answer = shop.call("PushSubscription/set", {"create": {"a": given}}, credential=phone)
    assert answer["notCreated"]["a"]["type"] == "overQuota"
    shop.create(URL, BOB)
    shop.call("PushSubscription/set", {"destroy": [first]})
    assert made(shop)["id"]


def test_they_are_made_only_so_fast(shop):
    """RFC 8620 §8.6: the rate of creation is limited, so that verifications are no weapon."""
    given = {"deviceClientId": "x", "url": URL}
    for _ in range(subscription.MOST_CREATED // 50):
        answer = shop.call("PushSubscription/set", {"create": {f"c{number}": given for number in range(50)}})
        ids = [one["id"] for one in answer["created"].values()]
        assert len(ids) == 50
        shop.call("PushSubscription/set", {"destroy": ids})
    assert made(shop)["type"] == "rateLimit"
    assert shop.create(URL, BOB)
    shop.house.now += 3601
    assert made(shop)["id"]


def test_types_are_whatever_a_client_asks_for(shop):
    """All types with null, none with an empty list, and names that this server does not know."""
    for types in (None, [], ["Email", "Todo"]):
        which = made(shop, types=types)["id"]
        assert listed(shop, ids=[which], properties=["types"])["list"][0]["types"] == types
    assert changed(shop, which, {"types": None}) is None


def test_creation_ids_may_be_used(shop):
    """`#` and a creation id stand for a subscription of the same request, as everywhere."""
    given = {"deviceClientId": "x", "url": URL}
    answer = shop.call("PushSubscription/set", {"create": {"a": given}, "update": {"#a": {"types": []}}})
    assert list(answer["updated"]) == [answer["created"]["a"]["id"]]


CONFIG = {"filter": {"hasKeyword": "$notify"}, "properties": ["from", "subject", "id"], "urgency": "high"}


def test_email_push_is_kept_and_shown(shop):
    """draft-ietf-jmap-emailpush-03 §4, with defaults filled in."""
    wanted = {"a1": {"properties": ["subject"]}}
    which = made(shop, keys=KEYS, emailPush=wanted)["id"]
    (shown,) = listed(shop, properties=["emailPush"])["list"]
    assert shown["emailPush"] == {"a1": {"filter": None, "properties": ["subject"], "urgency": "normal"}}
    assert changed(shop, which, {"emailPush/a1": CONFIG}) is None
    assert listed(shop, properties=["emailPush"])["list"][0]["emailPush"] == {"a1": CONFIG}
    assert changed(shop, which, {"emailPush": None}) is None


def test_email_push_exists_for_those_who_name_it(shop):
    """RFC 8620 §3.3: without the capability in `using`, nothing is seen of it unless it is asked for."""
    created = shop.call("PushSubscription/set", {"create": {"a": {"deviceClientId": "x", "url": URL}}})
    assert created["created"]["a"]["emailPush"] is None
    assert "emailPush" in listed(shop)["list"][0]
    assert "emailPush" not in shop.call("PushSubscription/get", {}, using=(CORE,))["list"][0]


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"properties": None},
        {"properties": ["nonsense"]},
        {"properties": ["header:"]},
        {"properties": ["x"] * 1000},
        {"properties": [], "urgency": "extreme"},
        {"properties": [], "filter": {"nonsense": 1}},
        {"properties": [], "filter": {"operator": "XOR", "conditions": []}},
        {"properties": [], "filter": "inbox"},
        {"properties": [], "filter": {"inMailbox": 7}},
        {"properties": [], "more": 1},
        {"properties": [], "filter": {"operator": "OR", "conditions": [{"text": "x" * 9000}] * 20}},
        None,
    ],
)
def test_a_bad_email_push_is_refused(shop, config):
    """What Email/query and Email/get would not take, and what is too large."""
    refused(shop, "emailPush", keys=KEYS, emailPush={"a1": config})


def test_email_push_is_for_accounts_of_one_s_own(shop):
    """Another's account, and none."""
    for account in (shop.house.account(BOB), "a99"):
        refused(shop, "emailPush", keys=KEYS, emailPush={account: {"properties": []}})


def test_mail_is_not_pushed_in_clear(shop):
    """draft-ietf-jmap-emailpush-03 §6: without keys there is no EmailPush, now or by an update."""
    refused(shop, "emailPush", "keys", emailPush={"a1": {"properties": []}})
    which = made(shop, emailPush={})["id"]
    assert changed(shop, which, {"emailPush": {"a1": {"properties": []}}})["properties"] == ["emailPush", "keys"]


def test_the_capability_is_told(shop):
    """draft-ietf-jmap-emailpush-03 §2.1: an empty object, for the server and for each account."""
    from minijmap.jmap.session import Urls

    login = login_of(shop.house.users[ALICE], 1)
    session = json.loads(shop.house.engine.session(login, Urls("a", "b", "c", "d", "e", "f")))
    assert session["capabilities"][EMAIL_PUSH] == {}
    assert session["accounts"]["a1"]["accountCapabilities"][EMAIL_PUSH] == {}
