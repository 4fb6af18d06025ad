"""A household whose clients are pushed to: the real engine, the real sender, and a push service on loopback."""

import contextlib
import json
import ssl
import threading
import time

from minijmap.aio import LoopThread
from minijmap.config import Settings
from minijmap.jmap.engine import Engine
from minijmap.jmap.methods import push_types
from minijmap.jmap.session import CORE, login_of
from minijmap.mail.emailpush import EmailPushes
from minijmap.push.bus import Bus
from minijmap.push.parts import PushParts
from minijmap.push.pusher import Outside, Pusher
from minijmap.push.states import States
from minijmap.server import families
from minijmap.store import accounts
from tests.conftest import MAIL, House

ALICE, BOB = "alice@example.com", "bob@example.com"
EMAIL_PUSH = "urn:ietf:params:jmap:emailpush"
MESSAGE = b"From: Carol <carol@example.org>\r\nTo: alice@example.com\r\nSubject: %b\r\n\r\nHello\r\n"


class Yard:
    """A house and its sender. Time stands still unless `pass_time` moves it."""

    def __init__(self, house: House, *, private=True, look_up=None, context=None, seconds=5.0, contact=None):
        self.house = house
        self.asked = []
        self.parts = PushParts(EmailPushes(), private)
        self.bus = Bus()
        house.database.on_commit = self.bus.publish
        made = families(Settings(), self.parts)
        house.engine = Engine(house.database, made, clock=lambda: house.now)
        self.states = States(house.database, self.bus, push_types(made))
        self._stack = contextlib.ExitStack()
        self._look_up = look_up or (lambda _: ["127.0.0.1"])
        self._outside = {"contact": contact, "seconds": seconds, "context": context or ssl.create_default_context}
        self.pusher = None
        self._pause = threading.Event()
        self._turns = 0

    def start(self):
        """Start the sender, as a server's start does."""
        outside = Outside(self._find, lambda: self.house.now, **self._outside)
        loop = LoopThread()
        loop.start()
        self._stack.callback(loop.stop)
        self.pusher = Pusher(self.house.database, self.states, self.parts, loop.loop, outside)
        self._stack.callback(self.pusher.stop)
        self._stack.callback(self.states.listen(self.pusher.hear))
        self.parts.on_change = self.pusher.wake
        turn = self.pusher._turn

        def counted():
            try:
                return turn()
            finally:
                self._turns += 1

        self.pusher._turn = counted
        self.pusher.start()
        return self

    def stop(self):
        """Stop it."""
        self._stack.close()
        self.parts.on_change = lambda: None

    def _find(self, host):
        self.asked.append(host)
        return self._look_up(host)

    def until(self, is_so, seconds=20.0):
        """Wait until something is so, while the sender works."""
        deadline = time.monotonic() + seconds
        while not is_so():
            assert time.monotonic() < deadline, "it did not happen"
            self._pause.wait(0.005)

    def settled(self, subscription, column, value):
        """Wait until the store says so of a subscription; with None for both, until it is gone."""
        self.until(
            lambda: (row := self.row(subscription)) is value or (row is not None and column and row[column] == value)
        )

    def rest(self):
        """Wait until all that was sent has been answered, and written down."""
        pusher, enough = self.pusher, self._turns + 2

        def rests():
            pusher.wake()
            return self._turns >= enough and not (pusher._under_way or pusher._ended or pusher._waiting.now)

        self.until(rests)

    def pass_time(self, seconds):
        """Let time pass when the sender rests, and have it notice."""
        self.rest()
        self.house.now += seconds
        self.pusher.wake()

    def call(self, name, arguments=None, user=ALICE, credential=None, using=(CORE, MAIL, EMAIL_PUSH)):
        """Make one call without an account; return the response's arguments."""
        login = login_of(self.house.users[user], credential or self.house.credentials[user])
        body = json.dumps({"using": using, "methodCalls": [[name, arguments or {}, "c1"]]}).encode()
        answered = json.loads(self.house.engine.handle(login, body))["methodResponses"]
        assert answered[0][0] in {name, "error"}
        return answered[0][1]

    def create(self, url, user=ALICE, credential=None, **properties):
        """Create a subscription; return its id."""
        given = {"deviceClientId": "phone", "url": url, **properties}
        answer = self.call("PushSubscription/set", {"create": {"s": given}}, user, credential)
        assert answer["notCreated"] is None, answer
        return answer["created"]["s"]["id"]

    def verify(self, sink, subscription, path="/push", device=None):
        """Wait for the code of a subscription, and give it back."""
        sink.wait(1, path)
        codes = [push.json(device) for push in sink.to(path)]
        (code,) = [
            one["verificationCode"]
            for one in codes
            if one["@type"] == "PushVerification" and one["pushSubscriptionId"] == subscription
        ]
        answer = self.call("PushSubscription/set", {"update": {subscription: {"verificationCode": code}}})
        assert answer["updated"] == {subscription: None}, answer

    def subscribe(self, sink, path="/push", device=None, **properties):
        """Create a subscription and verify it; return its id."""
        keys = {} if device is None else {"keys": device.keys}
        subscription = self.create(sink.url(path), **keys, **properties)
        self.verify(sink, subscription, path, device)
        return subscription

    def deliver(self, subject=b"Hi", user=ALICE):
        """Have a message arrive."""
        return self.house.deliver(MESSAGE % subject, user)

    def state(self, name, user=ALICE):
        """Return the state that /get gives."""
        return self.house.call(f"{name}/get", {"ids": []}, user)["state"]

    def token(self, label="phone", user=ALICE):
        """Make an app password; return the key of the credential."""

        def job(tx):
            secret = accounts.add_token(tx, self.house.users[user], label, 0)
            return accounts.find_token(tx, secret).key

        return self.house.database.write(job)

    def row(self, subscription):
        """Return what the store has of a subscription, by column."""
        with self.house.database.read() as reader:
            cursor = reader.connection.execute("SELECT * FROM push_subscription WHERE key = ?", (subscription[1:],))
            row = cursor.fetchone()
        return None if row is None else dict(zip((column[0] for column in cursor.description), row, strict=True))
