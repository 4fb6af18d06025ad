"""A DNS server on loopback, UDP and TCP on one port, over a dict of records: what tests know the world by.

It answers truthfully unless told to fail a name: `servfail`, `refused`, `timeout` (says nothing), `lie` (answers for
another name, under a wrong id, and in the answer section), `garbage` (no DNS at all), `truncate` (UDP answers are cut
short, TCP ones whole). Every question is kept in `asked`.
"""

import contextlib
import socket
import socketserver
import struct
import threading

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

from minijmap.setting_kinds import Address

MOST_CHAIN = 12
MODES = {"servfail", "refused", "timeout", "lie", "garbage", "truncate"}


class DnsServer:
    """Started by `with`. Records are added and failed by name at any time; names are compared in lower case."""

    def __init__(self, records=None):
        """`records`: {(name, type): [values in zone form, TXT without quotes]}, each as `add` takes them."""
        self.records = {}
        self.failing = {}
        self.asked = []
        self._heard = threading.Condition()
        self.mode = None
        self._stack = contextlib.ExitStack()
        for (name, kind), values in (records or {}).items():
            self.add(name, kind, *values)

    def add(self, name, kind, *values, ttl=300):
        """Publish records: a TXT value is its text, an MX "10 mx.example", an SRV "0 1 443 host.example"."""
        texts = [_quoted(value) if kind == "TXT" else value for value in values]
        self.records[_key(name), kind] = (texts, ttl)

    def remove(self, name, kind):
        """Publish something no longer."""
        del self.records[_key(name), kind]

    def fail(self, name, mode):
        """Let every question about a name fail from now on; None heals it."""
        assert mode is None or mode in MODES
        self.failing[_key(name)] = mode
        if mode is None:
            del self.failing[_key(name)]

    def fail_all(self, mode):
        """Let every question about any name fail from now on; None heals the server."""
        self.mode = mode

    def count(self, name, kind=None):
        """Return how often a name was asked for."""
        return sum(one == (_key(name), kind or one[1]) for one in self.asked)

    def wait(self, name, seconds=10):
        """Wait until a name has been asked for."""
        with self._heard:
            assert self._heard.wait_for(lambda: self.count(name), seconds)

    def __enter__(self):
        """Listen on a free port."""
        while True:
            tcp = _Tcp(("127.0.0.1", 0), _TcpHandler)
            try:
                udp = _Udp(tcp.server_address, _UdpHandler)
                break
            except OSError:  # somebody else has the same port of the other kind
                tcp.server_close()
        self.address = Address(*tcp.server_address)
        for server in (tcp, udp):
            server.dns = self
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
            thread.start()
            self._stack.callback(thread.join)
            self._stack.callback(server.server_close)
            self._stack.callback(server.shutdown)
        return self

    def __exit__(self, *_):
        """End both servers."""
        self._stack.close()

    def answer(self, query, *, tcp):
        """Return the octets to answer with, several messages for a liar, none for the silent."""
        question = dns.message.from_wire(query)
        name = question.question[0].name
        kind = dns.rdatatype.to_text(question.question[0].rdtype)
        with self._heard:
            self.asked.append((_key(name.to_text()), kind))
            self._heard.notify_all()
        mode = self.failing.get(_key(name.to_text()), self.mode)
        if mode == "timeout":
            return []
        if mode == "garbage":
            return [query[:2] + b"\xff" * 40]
        if mode == "lie":
            return self._lies(question)
        response = dns.message.make_response(question)
        response.flags |= dns.flags.RA
        if mode in {"servfail", "refused"}:
            response.set_rcode(dns.rcode.SERVFAIL if mode == "servfail" else dns.rcode.REFUSED)
        else:
            self._fill(response, name, kind)
        if mode == "truncate" and not tcp:
            response.answer.clear()
            response.flags |= dns.flags.TC
        wire = response.to_wire(max_size=65535)
        if len(wire) > 1232 and not tcp:
            response.answer.clear()
            response.flags |= dns.flags.TC
            wire = response.to_wire()
        return [wire]

    def _fill(self, response, name, kind):
        for _ in range(MOST_CHAIN):
            key = _key(name.to_text())
            chain = self.records.get((key, "CNAME")) if kind != "CNAME" else None
            values, ttl = chain or self.records.get((key, kind), ((), 0))
            if values:
                response.answer.append(dns.rrset.from_text(name, ttl, "IN", "CNAME" if chain else kind, *values))
            if not chain:
                break
            name = dns.name.from_text(values[0])
        if not values:
            exists = any(known == key or known.endswith("." + key) for known, _ in self.records)
            response.set_rcode(dns.rcode.NOERROR if exists else dns.rcode.NXDOMAIN)
            soa = "ns.test. hostmaster.test. 1 3600 600 86400 60"
            response.authority.append(
                dns.rrset.from_text(name.parent() if name.labels[1:] else name, 60, "IN", "SOA", soa)
            )

    def _lies(self, question):
        """Answer wrongly in every way that an answer can be recognised by."""
        name, kind = question.question[0].name, dns.rdatatype.to_text(question.question[0].rdtype)
        lie = {"TXT": '"v=spf1 +all"', "A": "192.0.2.66", "AAAA": "2001:db8::66", "MX": "1 evil.example."}.get(kind)
        other = dns.name.from_text("evil.example")
        elsewhere = dns.message.make_response(dns.message.make_query(other, kind, id=question.id))
        wrong_id = dns.message.make_response(question)
        wrong_id.id = question.id ^ 0x5555
        beside = dns.message.make_response(question)
        for response, owner in ((elsewhere, other), (wrong_id, name), (beside, other)):
            if lie is not None:
                response.answer.append(dns.rrset.from_text(owner, 300, "IN", kind, lie))
        return [response.to_wire() for response in (elsewhere, wrong_id, beside)]


class _Tcp(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False


class _Udp(socketserver.ThreadingUDPServer):
    daemon_threads = True
    block_on_close = False
    max_packet_size = 4096


class _UdpHandler(socketserver.BaseRequestHandler):
    def handle(self):
        query, sock = self.request
        for wire in self.server.dns.answer(query, tcp=False):
            sock.sendto(wire, self.client_address)


class _TcpHandler(socketserver.StreamRequestHandler):
    timeout = 5

    def handle(self):
        with contextlib.suppress(OSError, struct.error):
            (length,) = struct.unpack("!H", self.rfile.read(2))
            for wire in self.server.dns.answer(self.rfile.read(length), tcp=True):
                self.wfile.write(struct.pack("!H", len(wire)) + wire)
            self.connection.shutdown(socket.SHUT_WR)


def _key(name):
    return name.lower().removesuffix(".")


def _quoted(text):
    """Write a TXT record's text as strings of at most 255 octets (RFC 1035 §3.3.14)."""
    octets = text if isinstance(text, bytes) else text.encode()
    pieces = [octets[start : start + 255] for start in range(0, len(octets), 255)] or [b""]
    return " ".join('"' + "".join(_escaped(octet) for octet in piece) + '"' for piece in pieces)


def _escaped(octet):
    return chr(octet) if 0x20 <= octet < 0x7F and octet not in b'"\\' else f"\\{octet:03d}"
