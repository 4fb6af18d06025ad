"""Under which URL a request has reached us, and from which address (RFC 7239, X-Forwarded-*).

Owns the trust in proxies: what they say is believed only when the connection comes from a configured one. Must not
know the routes' views; the paths of RFC 8620's resources are here because the Session names them.
"""

import re
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any

from minijmap.jmap.session import Urls
from minijmap.signin import client_of

Ip = IPv4Address | IPv6Address
API = "/jmap/api"
UPLOAD = "/jmap/upload"
DOWNLOAD = "/jmap/download"
EVENTS = "/jmap/events"
WEB_SOCKET = "/jmap/ws"
TICKET = "/jmap/ticket"
MOST_HOPS = 20
_HOST = re.compile(r"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
_PREFIX = re.compile(r"(?:/[A-Za-z0-9._~-]+)+")
_PAIR = re.compile(r'\s*([A-Za-z]+)=(?:"((?:[^"\\]|\\.)*)"|([^;,"\s]*))\s*')
_DEFAULT_PORTS = {"http": "80", "https": "443"}


def urls_under(base: str) -> Urls:
    """Return the Session's URLs (RFC 8620 §2) under a base without slash at its end; exactly the RFC's variables."""
    return Urls(
        api=base + API,
        download=base + DOWNLOAD + "/{accountId}/{blobId}/{name}?type={type}",
        upload=base + UPLOAD + "/{accountId}",
        event_source=base + EVENTS + "?types={types}&closeafter={closeafter}&ping={ping}",
        # http becomes ws, https wss (RFC 6455 §3).
        web_socket="ws" + base.removeprefix("http") + WEB_SOCKET,
        ticket=base + TICKET,
    )


class Reach:
    """How one server is reached: `public_url` wins; else the request itself and the proxies that are trusted tell."""

    def __init__(self, public_url: str | None, trusted: Sequence[IPv4Network | IPv6Network]) -> None:
        self._public_url = public_url
        self._trusted = tuple(trusted)

    def base(self, environ: Mapping[str, Any]) -> str:
        """Return the URL under which the client sees the server's root, without slash at its end."""
        if self._public_url is not None:
            return self._public_url
        told = self._told(environ)
        scheme = told.get("proto", "").lower()
        scheme = scheme if scheme in _DEFAULT_PORTS else str(environ["wsgi.url_scheme"])
        named = (told.get("host", ""), str(environ.get("HTTP_HOST", "")))
        itself = f"{environ['SERVER_NAME']}:{environ['SERVER_PORT']}"
        host = next((name for name in named if _HOST.fullmatch(name)), itself)
        port = told.get("port", "")
        if re.fullmatch(r"[0-9]{1,5}", port) and ":" not in host.rpartition("]")[2] and port != _DEFAULT_PORTS[scheme]:
            host = f"{host}:{port}"
        prefix = told.get("prefix", "").rstrip("/")
        return f"{scheme}://{host}{prefix if _PREFIX.fullmatch(prefix) else ''}"

    def client(self, environ: Mapping[str, Any]) -> str:
        """Return the client's address, as the slow-down counts it."""
        address = _ip(self._told(environ).get("for", "")) or _ip(str(environ.get("REMOTE_ADDR", "")))
        return client_of(str(address))

    def _is_trusted(self, address: Ip | None) -> bool:
        return address is not None and any(address in network for network in self._trusted)

    def _told(self, environ: Mapping[str, Any]) -> dict[str, str]:
        """Return what the trusted proxies say of the client: any of `for`, `proto`, `host`, `port` and `prefix`."""
        if not self._trusted or not self._is_trusted(_ip(str(environ.get("REMOTE_ADDR", "")))):
            return {}
        forwarded = _elements(environ.get("HTTP_FORWARDED", ""))
        if forwarded:
            first = self._outermost([element.get("for", "") for element in forwarded])
            told: dict[str, str] = {}
            for element in reversed(forwarded[first:]):
                told |= element
            return told
        chain = _values(environ, "FOR")
        hops = len(chain) - self._outermost(chain) if chain else 1
        told = {} if not chain else {"for": chain[-hops]}
        for name in ("proto", "host", "port", "prefix"):
            values = _values(environ, name.upper())
            if values:
                told[name] = values[-min(hops, len(values))]
        return told

    def _outermost(self, chain: list[str]) -> int:
        """Return the index of the client: from the right, the first address that is no proxy of ours."""
        index = len(chain) - 1
        while index > 0 and self._is_trusted(_ip(chain[index])):
            index -= 1
        return index


def _values(environ: Mapping[str, Any], name: str) -> list[str]:
    text = str(environ.get(f"HTTP_X_FORWARDED_{name}", ""))
    return [value.strip() for value in text.split(",") if value.strip()][-MOST_HOPS:]


def _elements(header: str) -> list[dict[str, str]]:
    """Read a Forwarded header (RFC 7239 §4); one that is malformed says nothing."""
    elements: list[dict[str, str]] = [{}]
    at = 0
    while at < len(header):
        pair = _PAIR.match(header, at)
        if pair is None:
            return []
        value = re.sub(r"\\(.)", r"\1", pair[2]) if pair[2] is not None else pair[3]
        elements[-1][pair[1].lower()] = value
        at = pair.end()
        if at < len(header):
            if header[at] not in ",;":
                return []
            if header[at] == ",":
                elements.append({})
            at += 1
    return [element for element in elements if element][-MOST_HOPS:]


def _ip(text: str) -> Ip | None:
    """Read an address, with or without brackets and port; None for `unknown` and for names."""
    found = re.fullmatch(r"\[([^\]]+)\](?::\d+)?|([0-9.]+)(?::\d+)?", text)
    try:
        address = ip_address((found[1] or found[2]) if found else text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
