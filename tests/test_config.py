"""Settings: where each value comes from, and the exact sentence for everything that can be wrong."""

import json
import tomllib
from ipaddress import ip_network

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minijmap import config
from minijmap.config import SETTINGS, SettingError, Settings, load
from minijmap.setting_kinds import Address


def write(tmp_path, text):
    """Write a configuration file; a lone surrogate escape stands for an octet that isn't UTF-8."""
    path = tmp_path / "minijmap.toml"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    return path


def read(tmp_path, text):
    """Settings from a file's text alone."""
    write(tmp_path, text)
    return load(tmp_path, environ={})


def refusal(call, *args, **kwargs):
    """The sentence with which a call refuses a setting."""
    with pytest.raises(SettingError) as caught:
        call(*args, **kwargs)
    return str(caught.value)


def test_defaults_need_no_file(tmp_path):
    """Without file, environment and flags every setting has the default that the schema states."""
    expected = Settings(
        public_url=None,
        http=Address("127.0.0.1", 8080),
        smtp=Address("127.0.0.1", 2525),
        hostname=config.machine_name(),
        cors_origins=("*",),
        trusted_proxies=(),
        strict_using=False,
        max_message_size=50_000_000,
        aliases={},
    )

    assert load(tmp_path, environ={}) == expected
    assert load(None, environ={}) == expected


def test_file_sets_everything(tmp_path):
    """Each setting can be given in minijmap.toml."""
    text = """
        public_url = "https://mail.example.com/"
        http = "[::1]:0"
        smtp = ""
        hostname = "mx.example.com"
        cors_origins = ["https://App.example.com", "capacitor://localhost"]
        trusted_proxies = ["127.0.0.1", "10.1.0.0/16", "::1"]
        strict_using = true
        max_message_size = 65_536
        [aliases]
        "Sales@example.com" = "alice@example.com"
        "*@Example.org" = "bob@example.com"
        """

    assert read(tmp_path, text) == Settings(
        public_url="https://mail.example.com",
        http=Address("::1", 0),
        smtp=None,
        hostname="mx.example.com",
        cors_origins=("https://app.example.com", "capacitor://localhost"),
        trusted_proxies=(ip_network("127.0.0.1"), ip_network("10.1.0.0/16"), ip_network("::1")),
        strict_using=True,
        max_message_size=65_536,
        aliases={"sales@example.com": "alice@example.com", "*@example.org": "bob@example.com"},
    )


def test_environment_sets_everything():
    """Each setting can be given as MINIJMAP_<NAME>; lists are separated by commas or spaces, aliases written a=b."""
    environ = {
        "MINIJMAP_PUBLIC_URL": "http://localhost:9000",
        "MINIJMAP_HTTP": "0.0.0.0:80",
        "MINIJMAP_SMTP": "",
        "MINIJMAP_HOSTNAME": "mx.example.com",
        "MINIJMAP_CORS_ORIGINS": "https://a.example, https://b.example",
        "MINIJMAP_TRUSTED_PROXIES": "127.0.0.1 ::1",
        "MINIJMAP_STRICT_USING": "yes",
        "MINIJMAP_MAX_MESSAGE_SIZE": "1_000_000",
        "MINIJMAP_ALIASES": "sales@example.com=alice@example.com, *@example.org=bob@example.com",
        "MINIJMAP_DATA": "/elsewhere",
        "PATH": "/usr/bin",
    }

    assert load(None, environ=environ) == Settings(
        public_url="http://localhost:9000",
        http=Address("0.0.0.0", 80),  # noqa: S104 (never bound)
        smtp=None,
        hostname="mx.example.com",
        cors_origins=("https://a.example", "https://b.example"),
        trusted_proxies=(ip_network("127.0.0.1"), ip_network("::1")),
        strict_using=True,
        max_message_size=1_000_000,
        aliases={"sales@example.com": "alice@example.com", "*@example.org": "bob@example.com"},
    )


def test_flags_before_environment_before_file_before_defaults(tmp_path):
    """The nearest source wins, setting by setting."""
    write(tmp_path, 'hostname = "file.example"\nhttp = "127.0.0.1:1"\nsmtp = "127.0.0.1:1"\nmax_message_size = 70000')
    environ = {"MINIJMAP_HTTP": "127.0.0.1:2", "MINIJMAP_SMTP": "127.0.0.1:2"}
    flags = {"smtp": "127.0.0.1:3", "http": None}
    defaults = {"strict_using": True, "max_message_size": 80_000}

    loaded = load(tmp_path, environ=environ, flags=flags, defaults=defaults)

    assert loaded.hostname == "file.example"
    assert loaded.http == Address("127.0.0.1", 2)
    assert loaded.smtp == Address("127.0.0.1", 3)
    assert loaded.max_message_size == 70_000
    assert loaded.strict_using is True


def test_a_flag_may_have_its_type_already():
    """A flag that the command line has turned into a boolean is taken as it is."""
    assert load(None, environ={}, flags={"strict_using": True}).strict_using is True


def test_a_named_file_replaces_the_one_of_the_data_directory(tmp_path):
    """--config is read instead of DIR/minijmap.toml."""
    write(tmp_path, 'hostname = "data.example"')
    other = tmp_path / "other.toml"
    other.write_text('hostname = "other.example"')

    assert load(tmp_path, other, environ={}).hostname == "other.example"


def test_a_byte_order_mark_and_crlf_are_no_obstacle(tmp_path):
    """A file saved by a Windows editor is read."""
    assert read(tmp_path, '\ufeffhostname = "mx.example"\r\nstrict_using = true\r\n').strict_using is True


LISTENER = "HOST:PORT, such as 127.0.0.1:8080 or [::1]:8080, or empty for none"
URL = "an http or https URL without query, such as https://mail.example.com, or empty"
ORIGINS = 'a list of origins, such as "https://mail.example.com", or "*" for any'
NETWORKS = 'a list of IP addresses or networks, such as "127.0.0.1" or "10.0.0.0/8"'
SIZE = "a number of bytes from 65536 to 1000000000"
HOST = "a host name, such as mail.example.com"
ALIASES = 'a table of distinct addresses, "sales@example.com" or "*@example.com", to addresses'

BAD_FILES = [
    ('htpp = "127.0.0.1:1"', 'line 1: there is no setting "htpp"; did you mean "http"?'),
    ("\n[smpt]\nx = 1", 'line 2: there is no setting "smpt"; did you mean "smtp"?'),
    ("max-message-size = 1", 'line 1: there is no setting "max-message-size"; did you mean "max_message_size"?'),
    ("# zebra\nzebra = 1", f'line 2: there is no setting "zebra"; the settings are {", ".join(SETTINGS)}.'),
    ('http = "8080"', f'line 1: http must be {LISTENER}, not "8080".'),
    ('http = ":8080"', f'line 1: http must be {LISTENER}, not ":8080".'),
    ('http = "::1:8080"', f'line 1: http must be {LISTENER}, not "::1:8080".'),
    ('http = "[::x]:8080"', f'line 1: http must be {LISTENER}, not "[::x]:8080".'),
    ('http = "127.0.0.1:65536"', f'line 1: http must be {LISTENER}, not "127.0.0.1:65536".'),
    ("http = 8080", f"line 1: http must be {LISTENER}, not 8080."),
    ("\n\nsmtp = false", f"line 3: smtp must be {LISTENER}, not false."),
    ('public_url = "mail.example.com"', f'line 1: public_url must be {URL}, not "mail.example.com".'),
    ('public_url = "https://u@example.com"', f'line 1: public_url must be {URL}, not "https://u@example.com".'),
    ('public_url = "https://a.example:x/"', f'line 1: public_url must be {URL}, not "https://a.example:x/".'),
    ('public_url = "https://[::1"', f'line 1: public_url must be {URL}, not "https://[::1".'),
    ('hostname = "under the table"', f'line 1: hostname must be {HOST}, not "under the table".'),
    ('hostname = ""', f'line 1: hostname must be {HOST}, not "".'),
    ("hostname = [1]", f"line 1: hostname must be {HOST}, not [1]."),
    ('cors_origins = "*"', f'line 1: cors_origins must be {ORIGINS}, not "*".'),
    (
        'cors_origins = [\n  "https://a.example",\n  "https://a.example/",\n]',
        f'line 1: cors_origins must be {ORIGINS}, not "https://a.example/".',
    ),
    ("cors_origins = [true]", f"line 1: cors_origins must be {ORIGINS}, not true."),
    ('trusted_proxies = ["proxy.example"]', f'line 1: trusted_proxies must be {NETWORKS}, not "proxy.example".'),
    ('trusted_proxies = ["10.0.0.0/33"]', f'line 1: trusted_proxies must be {NETWORKS}, not "10.0.0.0/33".'),
    ("trusted_proxies = [1]", f"line 1: trusted_proxies must be {NETWORKS}, not 1."),
    ('strict_using = "true"', 'line 1: strict_using must be true or false, not "true".'),
    ("strict_using = 1", "line 1: strict_using must be true or false, not 1."),
    ("max_message_size = 1024", f"line 1: max_message_size must be {SIZE}, not 1024."),
    ("max_message_size = true", f"line 1: max_message_size must be {SIZE}, not true."),
    ("max_message_size = 1e6", f"line 1: max_message_size must be {SIZE}, not 1000000.0."),
    ("max_message_size = 2026-01-02", f'line 1: max_message_size must be {SIZE}, not "2026-01-02".'),
    ("aliases = []", f"line 1: aliases must be {ALIASES}, not []."),
    ('[aliases]\n"a@b.example" = "c@d.example"\n"x" = "c@d.example"', f'line 3: aliases must be {ALIASES}, not "x".'),
    ('aliases."a@b.example" = "*@b.example"', f'line 1: aliases must be {ALIASES}, not "*@b.example".'),
    ('[aliases]\n"a@b.example" = 5', f"line 2: aliases must be {ALIASES}, not 5."),
    (
        '[aliases]\n"a@b.example" = "c@d.example"\n"A@b.example" = "c@d.example"',
        f'line 3: aliases must be {ALIASES}, not "A@b.example".',
    ),
    ('[aliases]\n"a@b..example" = "c@d.example"', f'line 2: aliases must be {ALIASES}, not "a@b..example".'),
    (
        f'hostname = "{"x" * 70}"',
        f'line 1: hostname must be {HOST}, not "{"x" * 58}….',
    ),
    ('about = """\nsmtp = 1\n"""\n', f'line 1: there is no setting "about"; the settings are {", ".join(SETTINGS)}.'),
    ('hostname = """\nsmtp = 1\n"""', f'line 1: hostname must be {HOST}, not "smtp = 1\\n".'),
    ("'smt\\p' = 1\n", 'line 1: there is no setting "smt\\\\p"; did you mean "smtp"?'),
    ('strict_using = true\n"h\\u0074pp" = 1\n', 'line 2: there is no setting "htpp"; did you mean "http"?'),
    ("strict_using = true\nhttp 8080", "line 2: this isn't TOML: Expected '=' after a key in a key/value pair."),
    ("strict_using = tru", "line 1: this isn't TOML: Invalid value."),
    ('hostname = "a"\nhostname = "b"', "line 2: this isn't TOML: Cannot overwrite a value."),
    ("strict_using = true\ncors_origins = [\n", "line 2: this isn't TOML: Invalid value."),
    ('hostname = "a"\n# caf\udce9', "line 2: the configuration must be UTF-8 text."),
]


@pytest.mark.parametrize(("text", "sentence"), BAD_FILES)
def test_a_bad_file_is_named_with_its_line(tmp_path, text, sentence):
    """A file that can't be used says where, which setting, and what was expected."""
    path = write(tmp_path, text)

    assert refusal(load, tmp_path, environ={}) == f"{path}, {sentence}"


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("MINIJMAP_HTPP", "x", 'there is no setting "htpp"; did you mean "http"?'),
        ("MINIJMAP_", "x", f'there is no setting ""; the settings are {", ".join(SETTINGS)}.'),
        ("MINIJMAP_HTTP", "8080", f'http must be {LISTENER}, not "8080".'),
        ("MINIJMAP_STRICT_USING", "maybe", 'strict_using must be true or false, not "maybe".'),
        ("MINIJMAP_MAX_MESSAGE_SIZE", "50 MB", f'max_message_size must be {SIZE}, not "50 MB".'),
        ("MINIJMAP_MAX_MESSAGE_SIZE", "9" * 5000, f'max_message_size must be {SIZE}, not "{"9" * 58}….'),
        ("MINIJMAP_TRUSTED_PROXIES", "::1, here", f'trusted_proxies must be {NETWORKS}, not "here".'),
        ("MINIJMAP_ALIASES", "sales@example.com", f'aliases must be {ALIASES}, not "sales@example.com".'),
        (
            "MINIJMAP_CORS_ORIGINS",
            " ".join(["*"] * 1001),
            f"cors_origins must be {ORIGINS}, not {json.dumps(['*'] * 20)[:59]}….",
        ),
    ],
)
def test_a_bad_variable_is_named(variable, value, sentence):
    """A variable of the environment that can't be used, or that means nothing, stops the start."""
    assert refusal(load, None, environ={variable: value}) == f"environment variable {variable}: {sentence}"


def test_a_bad_flag_is_named():
    """A flag that can't be used is named as the person typed it."""
    sentence = refusal(load, None, environ={}, flags={"max_message_size": "big"})

    assert sentence == f'command line, --max-message-size: max_message_size must be {SIZE}, not "big".'


def test_a_missing_named_file_is_an_error(tmp_path):
    """--config with a file that isn't there is not taken for an empty one."""
    path = tmp_path / "none.toml"

    assert (
        refusal(load, tmp_path, path, environ={})
        == f"{path}: the configuration can't be read: No such file or directory."
    )


def test_a_directory_is_no_file(tmp_path):
    """A directory named minijmap.toml is refused by name."""
    path = tmp_path / "minijmap.toml"
    path.mkdir()

    assert refusal(load, tmp_path, environ={}) == f"{path}: the configuration can't be read: Is a directory."


def test_a_huge_file_is_refused(tmp_path):
    """A file beyond the limit isn't parsed."""
    path = write(tmp_path, "#" * (config.MAX_FILE_OCTETS + 1))

    assert refusal(load, tmp_path, environ={}) == f"{path}: the configuration is larger than 262144 bytes."


def test_a_deeply_nested_file_is_refused(tmp_path):
    """Nesting that would exhaust the parser ends in a sentence."""
    path = write(tmp_path, "http = " + "[" * 100_000)

    assert refusal(load, tmp_path, environ={}) == f"{path}: the configuration is nested too deeply."


def test_the_reference_names_everything_and_its_examples_work(tmp_path):
    """The generated reference has every setting, and each example is a value that its setting takes."""
    text = config.reference()
    uncommented = "\n".join(line[2:] for line in text.splitlines() if " = " in line)

    assert set(tomllib.loads(uncommented)) == set(SETTINGS)
    assert read(tmp_path, uncommented).max_message_size == 50_000_000
    assert all(f"# {row.help}\n# Default: {row.default_text}\n" in text for row in SETTINGS.values())
    assert tomllib.loads(text) == {}


def test_flags_and_variables_are_named_by_one_rule():
    """A setting's flag and variable follow from its name."""
    row = SETTINGS["max_message_size"]

    assert (row.flag, row.variable, row.default_text) == ("--max-message-size", "MINIJMAP_MAX_MESSAGE_SIZE", "50000000")
    assert SETTINGS["http"].default_text == '"127.0.0.1:8080"'


def test_a_machine_without_a_proper_name_is_localhost(monkeypatch):
    """A host name that couldn't be said in SMTP is replaced."""
    monkeypatch.setattr("socket.gethostname", lambda: "alice's laptop")

    assert config.machine_name() == "localhost"


@pytest.mark.parametrize("text", ["127.0.0.1:0", "localhost:65535", "[::1]:8080", "mail.example.com:25"])
def test_an_address_is_written_as_it_is_read(text):
    """Reading an address and writing it gives the same text."""
    assert str(Address.parse(text)) == text


@settings(max_examples=100)
@given(st.dictionaries(st.text(max_size=8), st.text(max_size=8) | st.integers() | st.booleans(), max_size=4), st.data())
def test_the_line_of_a_key_is_found_among_noise(table, data):
    """Whatever surrounds a setting, its line is the line it was written on."""
    noise = [f"# http = {number}" for number in range(data.draw(st.integers(0, 3)))]
    written = [f"{quoted(key)} = {quoted(value)}" for key, value in table.items() if key != "http"]
    place = data.draw(st.integers(0, len(written)))
    lines = [*noise, *written[:place], "http = 1", *written[place:]]

    assert config._line_of("\n".join(lines), ["http"]) == len(noise) + place + 1


NAMES = st.sampled_from([*SETTINGS, "htpp", '"a@b.c"', "[aliases]", "#"])
VALUES = st.sampled_from(
    ["[", "]", '"', "1", "true", "[1]", "{}", '"\\ud800"', "1e9", "2026-01-01", '["*"]', "'x@y'"]
) | st.text(max_size=9)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(NAMES, st.sampled_from([" = ", "", "\n"]), VALUES), max_size=5))
def test_any_text_is_settings_or_a_sentence(tmp_path, lines):
    """Whatever a file holds, it is read or refused with a sentence that names the file."""
    path = write(tmp_path, "\n".join("".join(line) for line in lines))

    sentence = outcome(tmp_path, {})

    assert sentence is None or sentence.startswith(f"{path}, line ")


@settings(max_examples=200)
@given(st.sampled_from(list(SETTINGS)), st.text())
def test_any_variable_is_a_setting_or_a_sentence(name, text):
    """Whatever text the environment holds, it is taken or refused with a sentence."""
    sentence = outcome(None, {f"MINIJMAP_{name.upper()}": text})

    assert sentence is None or sentence.startswith(f"environment variable MINIJMAP_{name.upper()}: {name} must be ")


def outcome(data_dir, environ):
    """None when the settings can be read, or else the sentence."""
    try:
        load(data_dir, environ=environ)
    except SettingError as error:
        return str(error)
    return None


def quoted(value):
    """A TOML value; a string in its escaped form, which JSON's isn't for every character."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    return '"' + "".join(f"\\U{ord(character):08x}" for character in value) + '"'
