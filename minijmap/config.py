"""One schema of settings: every setting's name, kind, default, help and example, declared once in `Settings`.

The TOML file, the environment, the command line's flags, the reference and the error sentences all read that
declaration. A value comes from a flag, else from the environment, else from the file, else it is the default. This
module must not know what a setting does, and it opens nothing but the configuration file.
"""

import dataclasses
import difflib
import json
import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from types import MappingProxyType
from typing import Any

from minijmap import setting_kinds as kinds
from minijmap.setting_kinds import Address, Kind, Relay, UnfitError

FILE_NAME = "minijmap.toml"
PREFIX = "MINIJMAP_"
# The data directory says where the file is, so it can't be in the file.
DATA_VARIABLE = "MINIJMAP_DATA"
MAX_FILE_OCTETS = 256 * 1024


class SettingError(Exception):
    """A setting that can't be used. Its text is one sentence: where it was set, its name, what was expected."""


# The schema


def _setting(kind: Kind, default: object, help: str, example: str, *, default_text: str | None = None) -> Any:  # noqa: A002
    metadata = {"kind": kind, "help": help, "example": example, "default_text": default_text}
    if callable(default):
        return dataclasses.field(default_factory=default, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def machine_name() -> str:
    """This machine's host name, or ``localhost`` when it has none. It asks no DNS: that may take seconds."""
    try:
        return kinds.host_name(socket.gethostname())
    except ValueError:
        return "localhost"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Every setting with its value; the declaration of each is its documentation."""

    public_url: str | None = _setting(
        kinds.PUBLIC_URL,
        None,
        "The URL under which clients reach the server; without it, URLs are built from each request.",
        '"https://mail.example.com"',
        default_text="from the request",
    )
    http: Address | None = _setting(  # noqa: RUF009 (_setting returns a field; likewise below)
        kinds.LISTENER, Address("127.0.0.1", 8080), "Where JMAP is served; port 0 takes a free one.", '"127.0.0.1:8080"'
    )
    smtp: Address | None = _setting(  # noqa: RUF009
        kinds.LISTENER, Address("127.0.0.1", 2525), "Where mail arrives by SMTP; empty turns it off.", '"0.0.0.0:25"'
    )
    submission: Address | None = _setting(  # noqa: RUF009
        kinds.LISTENER,
        Address("127.0.0.1", 2587),
        "Where mail programs hand in what is to be sent; empty turns it off.",
        '"0.0.0.0:587"',
    )
    hostname: str = _setting(
        kinds.HOST_NAME,
        machine_name,
        "The name the server gives itself in SMTP and in the headers it adds.",
        '"mail.example.com"',
        default_text="the machine's name",
    )
    cors_origins: tuple[str, ...] = _setting(
        kinds.ORIGINS,
        ("*",),
        "The origins whose pages may use the server from a browser.",
        '["https://webmail.example.com"]',
    )
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = _setting(
        kinds.NETWORKS,
        (),
        "The proxies whose Forwarded and X-Forwarded-* headers are believed.",
        '["127.0.0.1", "10.0.0.0/8"]',
    )
    strict_using: bool = _setting(
        kinds.BOOLEAN,
        False,
        "Refuse what a request's `using` doesn't name, and arguments that a method doesn't have.",
        "true",
    )
    max_message_size: int = _setting(
        kinds.MESSAGE_SIZE, 50_000_000, "The largest message taken, in bytes.", "50_000_000"
    )
    quota: int = _setting(
        kinds.QUOTA,
        0,
        "How many bytes of messages and files each account may keep; 0 is no limit. `minijmap user quota` sets another "
        "limit for one person.",
        "10_000_000_000",
    )
    aliases: Mapping[str, str] = _setting(
        kinds.ALIASES,
        lambda: MappingProxyType({}),
        "Further addresses, each of them to the address of a user; *@domain takes what nobody else has.",
        '{ "sales@example.com" = "alice@example.com", "*@example.org" = "bob@example.com" }',
        default_text="none",
    )
    dns_server: Address | None = _setting(  # noqa: RUF009
        kinds.NAME_SERVER, None, "The name server to ask.", '"127.0.0.1:53"', default_text="the system's"
    )
    policy: str = _setting(
        kinds.POLICY,
        "junk",
        "What becomes of mail that fails DMARC: report files it like any other, junk puts it in Junk, reject also "
        "refuses what the domain wants refused; off looks nothing up.",
        '"reject"',
    )
    greylisting: bool = _setting(
        kinds.BOOLEAN,
        False,
        "Ask strangers' servers to come back in some minutes before taking their first message.",
        "true",
    )
    tls_certificate: str | None = _setting(
        kinds.FILE,
        None,
        "The certificate chain (PEM) with which SMTP offers STARTTLS; read again when it changes.",
        '"/etc/ssl/mail/fullchain.pem"',
        default_text="none",
    )
    tls_key: str | None = _setting(
        kinds.FILE,
        None,
        "The private key (PEM) of that certificate, unless it is in the same file.",
        '"/etc/ssl/mail/privkey.pem"',
        default_text="none",
    )
    relay: Relay | None = _setting(  # noqa: RUF009
        kinds.RELAY,
        None,
        "The server that all mail for elsewhere is handed to; empty sends it straight to the recipients' servers.",
        '"smtps://alice%40example.com:secret@smtp.example.net:465"',
        default_text="none",
    )
    relay_tls: str = _setting(
        kinds.RELAY_TLS,
        "opportunistic",
        "TLS with the relay: required (and its certificate valid), opportunistic (required for a password), or none.",
        '"required"',
    )
    mx_port: int = _setting(kinds.PORT, 25, "The port of the recipients' servers; another one is for tests.", "2525")
    retry_seconds: tuple[int, ...] = _setting(
        kinds.SECONDS_LIST,
        (60, 300, 900, 1800, 3600, 7200, 14400),
        "After how many seconds mail that could not be sent is tried again, each time; the last one repeats.",
        "[60, 600, 3600]",
    )
    give_up_after: int = _setting(
        kinds.SECONDS,
        5 * 24 * 3600,
        "For how many seconds sending is tried before the message comes back to its sender.",
        "259_200",
    )
    dkim_selector: str = _setting(
        kinds.SELECTOR, "minijmap", "The name under which the keys that sign mail are published (DKIM).", '"mail2026"'
    )
    smime_trust_anchors: str | None = _setting(
        kinds.FILE,
        None,
        "The certificates (PEM) of the authorities whose S/MIME signatures are believed; read again when it changes.",
        '"/etc/ssl/mail/smime-anchors.pem"',
        default_text="the system's",
    )
    push_to_private_networks: bool = _setting(
        kinds.BOOLEAN,
        False,
        "Let clients be pushed to by http and on private networks too, not only by https on the public internet.",
        "true",
    )


@dataclass(frozen=True)
class Setting:
    """One row of the schema, as documentation and the command line read it."""

    name: str
    kind: Kind
    help: str
    example: str
    default_text: str

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return PREFIX + self.name.upper()

    @property
    def flag(self) -> str:
        """The flag that sets it, where a command has one."""
        return "--" + self.name.replace("_", "-")


def _row(field: dataclasses.Field[Any]) -> Setting:
    about = field.metadata
    default = about["default_text"]
    if default is None:
        value = list(field.default) if type(field.default) is tuple else field.default
        default = json.dumps(str(value) if isinstance(value, Address) else value)
    return Setting(field.name, about["kind"], about["help"], about["example"], default)


SETTINGS: Mapping[str, Setting] = MappingProxyType({field.name: _row(field) for field in dataclasses.fields(Settings)})


def reference() -> str:
    """Every setting as a commented minijmap.toml: help, default, and an example to uncomment."""
    rows = [f"# {row.help}\n# Default: {row.default_text}\n# {row.name} = {row.example}\n" for row in SETTINGS.values()]
    return "\n".join(rows)


# Where values come from


def load(
    data_dir: Path | None,
    config_file: Path | None = None,
    *,
    environ: Mapping[str, str],
    flags: Mapping[str, object] | None = None,
    defaults: Mapping[str, object] | None = None,
) -> Settings:
    """Read every setting: a flag, else the environment, else the file, else ``defaults``, else the schema's default.

    ``data_dir`` may hold a minijmap.toml (None: there is no directory); ``config_file`` is read instead and must exist.
    A flag that is None wasn't given. ``defaults`` are a command's own, as values of `Settings`. Raises SettingError.
    """
    values: dict[str, Any] = dict(defaults or {})
    path = config_file or (data_dir / FILE_NAME if data_dir else None)
    if path is not None and (config_file or path.exists()):
        values |= _from_file(path)
    values |= _from_environment(environ)
    values |= _from_flags(flags or {})
    return Settings(**values)


# Names the place of a setting, or of one entry of a table, in the words of its source.
_Where = Callable[[str | None], str]


def _at(place: str) -> _Where:
    return lambda _entry: place


def _in_file(path: Path, text: str, name: str) -> _Where:
    return lambda entry: f"{path}, line {_line_of(text, [name] if entry is None else [name, entry])}"


def _from_file(path: Path) -> dict[str, object]:
    text = _file_text(path)
    return {name: _read(name, value, _in_file(path, text, name)) for name, value in _toml(path, text).items()}


def _from_environment(environ: Mapping[str, str]) -> dict[str, object]:
    variables = [name for name in sorted(environ) if name.startswith(PREFIX) and name != DATA_VARIABLE]
    names = {variable: variable.removeprefix(PREFIX).lower() for variable in variables}
    return {
        name: _read(name, environ[variable], _at(f"environment variable {variable}"), written=True)
        for variable, name in names.items()
    }


def _from_flags(flags: Mapping[str, object]) -> dict[str, object]:
    return {
        name: _read(name, value, _at(f"command line, --{name.replace('_', '-')}"), written=True)
        for name, value in flags.items()
        if value is not None
    }


def _read(name: str, value: object, where: _Where, *, written: bool = False) -> object:
    """Read the value of a setting; ``written`` says that text is plain text and not yet TOML's value."""
    row = SETTINGS.get(name)
    if row is None:
        raise SettingError(f"{where(None)}: there is no setting {_shown(name)}; {_suggestion(name)}")
    try:
        return row.kind.read(row.kind.from_text(value) if written and isinstance(value, str) else value)
    except (ValueError, TypeError) as error:
        bad, entry = (error.value, error.key) if isinstance(error, UnfitError) else (value, None)
        raise SettingError(f"{where(entry)}: {name} must be {row.kind.expected}, not {_shown(bad)}.") from error


def _suggestion(name: str) -> str:
    near = difflib.get_close_matches(name[:100].lower().replace("-", "_"), SETTINGS, n=1)
    return f'did you mean "{near[0]}"?' if near else f"the settings are {', '.join(SETTINGS)}."


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:59] + "…"


def _file_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            octets = file.read(MAX_FILE_OCTETS + 1)
    except OSError as error:
        raise SettingError(f"{path}: the configuration can't be read: {error.strerror}.") from error
    if len(octets) > MAX_FILE_OCTETS:
        raise SettingError(f"{path}: the configuration is larger than {MAX_FILE_OCTETS} bytes.")
    try:
        return octets.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = octets[: error.start].count(b"\n") + 1
        raise SettingError(f"{path}, line {line}: the configuration must be UTF-8 text.") from error


def _toml(path: Path, text: str) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise SettingError(f"{path}: the configuration is nested too deeply.") from error
    except ValueError as error:
        reason, _, place = str(error).rpartition(" (at ")
        found = re.match(r"line (\d+)", place)
        line = int(found[1]) if found else text.rstrip("\n").count("\n") + 1
        raise SettingError(f"{path}, line {line}: this isn't TOML: {reason or error}.") from error


def _line_of(text: str, path: list[str]) -> int:
    """The line that sets a key: the last naming it before which the text is whole and doesn't hold it yet.

    TOML's own parser is asked, so that a name in a comment or in a string isn't taken for the setting.
    """
    lines = text.split("\n")
    best = None
    for number, line in enumerate(lines):
        if path[-1] in line or "\\" in line:
            state = _holds("\n".join(lines[:number]), path)
            if state:
                break
            best = best if state is None else number + 1
    return best or (_line_of(text, path[:-1]) if path[1:] else 1)


def _holds(text: str, path: list[str]) -> bool | None:
    """Whether a TOML text sets the key; None when the text breaks off in the middle of something."""
    import tomllib

    try:
        value: Any = tomllib.loads(text)
    except (ValueError, RecursionError):
        return None
    for key in path:
        if not isinstance(value, dict) or key not in value:
            return False
        value = value[key]
    return True
