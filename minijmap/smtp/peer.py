"""A session with another server, ready for messages: connected, introduced, protected, signed in (RFC 5321 §3.1).

Owns the order in which servers and their addresses are tried, and what TLS is good enough (RFC 3207, RFC 8314 §3.3,
RFC 8689 §4.2.1). Must not know messages.
"""

import ssl
import threading
from dataclasses import dataclass

from minijmap.smtp.client import Client, Connect, Lost, Reply, Timeouts
from minijmap.smtp.route import NONE, REQUIRED, Host, Route

MOST_ADDRESSES = 12
"""Connections that one search for a server may try."""


class Contexts:
    """TLS contexts, made when they are first needed: that reads every certificate authority there is."""

    def __init__(self, cafile: str | None = None) -> None:
        """`cafile` names the authorities to trust; without it, the system's."""
        self._cafile = cafile
        self._lock = threading.Lock()
        self._made: dict[bool, ssl.SSLContext] = {}

    def get(self, *, verified: bool) -> ssl.SSLContext:
        """Return the context that checks certificates, or the one that takes any (RFC 7435: better than none)."""
        with self._lock:
            if verified not in self._made:
                context = ssl.create_default_context(cafile=self._cafile)
                if not verified:
                    context.check_hostname = False
                    context.verify_mode = ssl.CERT_NONE
                self._made[verified] = context
            return self._made[verified]


@dataclass(eq=False)
class Session:
    """A server that waits for a message. `verified`: TLS, and its certificate is the one for its name."""

    client: Client
    host: Host
    verified: bool
    used: bool = False
    """A message went over it already, so that it may have been closed meanwhile."""


class NoSession(Exception):
    """No server would talk to us; the reply is the most hopeful one."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.text)
        self.reply = reply


class _TlsFailed(Exception):
    """TLS was offered and did not come to be."""


@dataclass(frozen=True)
class Opener:
    """Opens sessions. `hostname` is what we call ourselves."""

    hostname: str
    connect: Connect
    contexts: Contexts
    timeouts: Timeouts

    def open(self, route: Route, *, strict: bool = False) -> Session:
        """Return a session with the first server that will have us. Raises NoSession.

        `strict`: only with verified TLS, a name that can't have been forged, and REQUIRETLS (RFC 8689 §4.2.1).
        """
        if strict and not route.trusted:
            raise NoSession(Reply.made(550, "5.7.10 Encryption needed, and the server's name can't be trusted"))
        replies: list[Reply] = []
        tried = 0
        for host in route.hosts:
            for address in host.addresses:
                tried += 1
                if tried > MOST_ADDRESSES:
                    break
                try:
                    return self._open(host, address, strict=strict)
                except NoSession as refusal:
                    replies.append(refusal.reply)
        hopeful = [reply for reply in replies if reply.kind == 4]
        raise NoSession((hopeful or replies)[-1])

    def _open(self, host: Host, address: str, *, strict: bool) -> Session:
        """Open a session with one address. Raises NoSession."""
        wanted = REQUIRED if strict else host.tls
        try:
            session = self._try(host, address, wanted)
        except _TlsFailed as failure:
            if wanted == REQUIRED:
                raise NoSession(_insecure(host, str(failure), strict=strict)) from None
            # Opportunistic: rather in clear than not at all, which a new connection is needed for.
            session = self._try(host, address, NONE)
        if strict and "REQUIRETLS" not in session.client.extensions:
            session.client.quit()
            raise NoSession(Reply.made(550, f"5.7.30 REQUIRETLS support required, and {host.name} has none"))
        return session

    def _try(self, host: Host, address: str, wanted: str) -> Session:
        try:
            connection = self.connect(address, host.port, self.timeouts.connect)
        except OSError as error:
            reason = error.strerror or str(error) or type(error).__name__
            raise NoSession(Reply.made(451, f"4.4.1 No connection to {host.name} ({address}): {reason}")) from error
        client = Client(connection, self.timeouts)
        try:
            verified = self._introduce(client, host, wanted)
        except Lost as error:
            client.close()
            raise NoSession(Reply.made(451, f"4.4.2 {host.name}: {error}")) from error
        except BaseException:
            client.close()
            raise
        return Session(client, host, verified)

    def _introduce(self, client: Client, host: Host, wanted: str) -> bool:
        """Go from the greeting to where MAIL can be said; say whether the certificate was verified."""
        verify = wanted == REQUIRED
        if host.implicit:
            self._wrap(client, host, verify=verify)
        _welcome(client.greeting())
        _welcome(client.ehlo(self.hostname))
        if not host.implicit and wanted != NONE:
            self._start_tls(client, host, verify=verify)
        if host.credentials is not None:
            reply = client.log_in(*host.credentials)
            if reply.kind != 2:
                # A wrong password is no reason to return all mail: it may be put right in time.
                raise NoSession(Reply.made(454, f"4.7.8 {host.name} does not let us in: {reply.text}"))
        return verify and client.encrypted

    def _wrap(self, client: Client, host: Host, *, verify: bool) -> None:
        try:
            client.wrap(self.contexts.get(verified=verify), host.name)
        except Lost as error:
            raise NoSession(Reply.made(451, f"4.7.5 {error}")) from error

    def _start_tls(self, client: Client, host: Host, *, verify: bool) -> None:
        if "STARTTLS" not in client.extensions:
            if verify:
                raise _TlsFailed(f"{host.name} offers no TLS")
            return
        try:
            reply = client.start_tls(self.contexts.get(verified=verify), host.name.strip("[]"), self.hostname)
        except Lost as error:
            raise _TlsFailed(str(error)) from error
        if reply.kind == 2 and client.encrypted:
            return
        raise _TlsFailed(f"{host.name} refused TLS: {reply.text}")


def _welcome(reply: Reply) -> None:
    if reply.kind != 2:
        raise NoSession(reply if reply.kind in (4, 5) else Reply.made(451, f"4.5.0 Unexpected: {reply.text}"))


def _insecure(host: Host, reason: str, *, strict: bool) -> Reply:
    if strict:  # RFC 8689 §4.2.1
        return Reply.made(550, f"5.7.10 Encryption needed: {reason}")
    return Reply.made(454, f"4.7.5 TLS is required, and failed with {host.name}: {reason}")
