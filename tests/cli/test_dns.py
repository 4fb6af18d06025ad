"""`minijmap dns`: a zone file that a name server takes, and sentences about what is not published as it should be."""

import dns.zone
import pytest

from tests.smtp.dnsserver import DnsServer
from tests.wire.running import ALICE, run

LEVELS = {"required", "recommended", "optional"}
SETTINGS = 'hostname = "mail.example.com"\npublic_url = "https://jmap.example.com:8443/"\n'


@pytest.fixture
def folder(tmp_path):
    """Give a data folder with Alice in it, and a minijmap.toml."""
    place = tmp_path / "data"
    run("--data", place, "user", "add", ALICE, "--password-stdin", text="secret\n")
    (place / "minijmap.toml").write_text(SETTINGS)
    return place


@pytest.fixture
def server(folder):
    """Give a name server that the folder's settings name, and that knows of nothing but the mail host."""
    with DnsServer() as server:
        (folder / "minijmap.toml").write_text(f'{SETTINGS}dns_server = "{server.address}"\n')
        server.add("mail.example.com", "A", "192.0.2.25")
        yield server


def printed(folder, domain="example.com"):
    """Return what is to be published: (level, name, type) → the record's data as a zone file has it."""
    lines = run("--data", folder, "dns", domain).stdout.splitlines()
    records, level = {}, None
    for line in lines:
        if line.startswith("; "):
            word = line[2:].partition(":")[0]
            level = word if word in LEVELS else level
        elif not line.startswith(";"):
            name, ttl, family, kind, data = line.split(maxsplit=4)
            assert (ttl, family) == ("3600", "IN")
            records[level, name.removesuffix("."), kind, data.partition(" ")[0] if kind == "TXT" else ""] = data
    return {(level, name, kind): data for (level, name, kind, _), data in records.items()}, lines


def text_of(data):
    """Return the text of TXT data in zone form."""
    return "".join(piece for number, piece in enumerate(data.split('"')) if number % 2)


def publish(server, records, *levels):
    """Publish records of some levels as they are printed."""
    for (level, name, kind), data in records.items():
        if level in levels:
            server.add(name, kind, text_of(data) if kind == "TXT" else data)


def check(folder, domain="example.com"):
    """Run --check; return its exit status and its lines."""
    done = run("--data", folder, "dns", domain, "--check", check=False)
    assert done.stderr == ""
    return done.returncode, done.stdout.splitlines()


def test_it_prints_a_zone_file(folder):
    """A record a line, each after a comment with its level; names and ports are those of the settings."""
    records, lines = printed(folder)
    assert records["required", "example.com", "MX"] == "10 mail.example.com."
    assert text_of(records["required", "example.com", "TXT"]) == "v=spf1 mx -all"
    assert text_of(records["required", "minijmap._domainkey.example.com", "TXT"]).startswith("v=DKIM1; k=rsa; p=MII")
    ed25519 = records["recommended", "minijmap-ed25519._domainkey.example.com", "TXT"]
    assert text_of(ed25519).startswith("v=DKIM1; k=ed25519; p=")
    assert text_of(records["recommended", "_dmarc.example.com", "TXT"]).startswith("v=DMARC1; p=")
    assert records["recommended", "_jmap._tcp.example.com", "SRV"] == "0 1 8443 jmap.example.com."
    assert records["recommended", "_submission._tcp.example.com", "SRV"] == "0 1 587 mail.example.com."
    assert records["optional", "_submissions._tcp.example.com", "SRV"] == "0 0 0 ."
    assert text_of(records["optional", "_mta-sts.example.com", "TXT"]).startswith("v=STSv1; id=")
    assert text_of(records["optional", "_smtp._tls.example.com", "TXT"]).startswith("v=TLSRPTv1; rua=mailto:")
    assert not any("hostname = " in line for line in lines)

    soa = "@ 3600 IN SOA ns.example.com. root.example.com. 1 2 3 4 5\n@ 3600 IN NS ns.example.com.\n"
    zone = dns.zone.from_text(soa + "\n".join(lines), origin="example.com.", relativize=False)
    assert len(list(zone.iterate_rdatas())) == len(records) + 2


def test_the_keys_are_made_once(folder):
    """The first call makes them, the second shows the same, and `dkim list` has them."""
    assert printed(folder) == printed(folder)
    listed = run("--data", folder, "dkim", "list", "example.com").stdout
    assert [line.split()[:3] for line in listed.splitlines()] == [
        ["minijmap", "rsa-sha256", "active"],
        ["minijmap-ed25519", "ed25519-sha256", "active"],
    ]


def test_keys_in_their_turns(folder):
    """The next keys are recommended as soon as they are prepared; those that signed before are optional."""
    printed(folder)
    run("--data", folder, "dkim", "rotate", "--prepare", "example.com")
    records, _ = printed(folder)
    assert ("recommended", "minijmap-2._domainkey.example.com", "TXT") in records
    run("--data", folder, "dkim", "rotate", "example.com")
    records, _ = printed(folder)
    assert ("required", "minijmap-2._domainkey.example.com", "TXT") in records
    assert ("optional", "minijmap._domainkey.example.com", "TXT") in records


def test_settings_change_what_is_printed(folder):
    """A relay sends too; a listener for all has its own port; none has no record but that there is none."""
    (folder / "minijmap.toml").write_text(
        'hostname = "mx.example.net"\nrelay = "smtp://u:p@smtp.example.org:587"\nsubmission = "0.0.0.0:5870"\n'
        'dkim_selector = "mine"\n'
    )
    records, lines = printed(folder)
    assert records["required", "example.com", "MX"] == "10 mx.example.net."
    assert text_of(records["required", "example.com", "TXT"]) == "v=spf1 mx a:smtp.example.org ~all"
    assert ("required", "mine._domainkey.example.com", "TXT") in records
    assert records["recommended", "_jmap._tcp.example.com", "SRV"] == "0 1 443 mx.example.net."
    assert records["recommended", "_submission._tcp.example.com", "SRV"] == "0 1 5870 mx.example.net."
    assert any("include:" in line for line in lines)
    assert not any("u:p" in line for line in lines)
    (folder / "minijmap.toml").write_text('hostname = "mx.example.net"\nsubmission = ""\nhttp = ""\n')
    records, _ = printed(folder)
    assert records["optional", "_submission._tcp.example.com", "SRV"] == "0 0 0 ."
    assert not any("_jmap" in name for _, name, _ in records)


def test_a_machine_without_a_public_name(folder):
    """The records are for mail.DOMAIN, and a comment says so."""
    (folder / "minijmap.toml").write_text('hostname = "raspberrypi"\n')
    records, lines = printed(folder)
    assert records["required", "example.com", "MX"] == "10 mail.example.com."
    assert any('hostname = "mail.example.com"' in line for line in lines)


def test_a_domain_of_nobody(folder):
    """It can be printed before somebody has an address there; a comment says how they get one."""
    _, lines = printed(folder, "example.net")
    assert any("user add" in line for line in lines)
    assert not any("user add" in line for line in printed(folder)[1])


def test_a_domain_in_any_script(folder):
    """It is published in A-labels (RFC 5890)."""
    records, _ = printed(folder, "Bücher.example")
    assert ("required", "xn--bcher-kva.example", "MX") in records


@pytest.mark.parametrize(
    "domain", ["localhost", "exa mple.com", "-.com", "a..b", "192.0.2.1", "x" * 64 + ".com", "@.com"]
)
def test_no_domain(folder, domain):
    """What is no domain is wrong use."""
    done = run("--data", folder, "dns", "--", domain, check=False)
    assert done.returncode == 2
    assert "is not a domain" in done.stderr


def test_nothing_is_published(folder, server):
    """Each record is a line that says so, with what to publish; the exit status is 1."""
    status, lines = check(folder)
    assert status == 1
    states = [line.split()[:2] for line in lines if not line.startswith(" ")]
    assert ["missing", "required"] in states
    assert not any(state == "published" for state, _ in states)
    assert "    There is none at example.com. Publish: example.com. 3600 IN MX 10 mail.example.com." in lines
    assert server.count("example.com", "MX") == 1


def test_all_is_published(folder, server):
    """Whoever publishes what is printed is done; what is optional may be missing."""
    records, _ = printed(folder)
    publish(server, records, "required")
    assert check(folder)[0] == 1
    publish(server, records, "required", "recommended")
    status, lines = check(folder)
    assert status == 0
    assert lines[-1] == "All that is required and recommended for example.com is published."
    assert any(line.startswith("missing    optional") for line in lines)
    publish(server, records, "optional")
    _, lines = check(folder)
    assert not any(line.startswith("missing") for line in lines)


GOOD, BAD = 0, 1


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """Give a data folder, and a name server that publishes all that is printed for it; both for many tests."""
    place = tmp_path_factory.mktemp("dns") / "data"
    run("--data", place, "user", "add", ALICE, "--password-stdin", text="secret\n")
    with DnsServer() as server:
        (place / "minijmap.toml").write_text(f'{SETTINGS}dns_server = "{server.address}"\n')
        server.add("mail.example.com", "A", "192.0.2.25")
        publish(server, printed(place)[0], *LEVELS)
        yield place, server


@pytest.mark.parametrize(
    ("name", "kind", "values", "status", "said"),
    [
        ("example.com", "MX", ["20 other.example.com.", "30 mail.example.com."], GOOD, ""),
        ("example.com", "MX", ["10 other.example.com."], BAD, "goes to 10 other.example.com."),
        ("example.com", "MX", ["0 ."], BAD, "goes to 0 .."),
        ("example.com", "TXT", ["V=SPF1  MX  -ALL"], GOOD, ""),
        ("example.com", "TXT", ["unrelated", "v=spf1 a:mail.example.com ~all"], GOOD, ""),
        ("example.com", "TXT", ["v=spf1 ip4:192.0.2.16/28 -all"], GOOD, ""),
        ("example.com", "TXT", ["v=spf1 include:_spf.example.net -all"], BAD, "can't be used"),
        (
            "example.com",
            "TXT",
            ["v=spf1 ip4:198.51.100.7 -all"],
            BAD,
            "does not let mail.example.com (192.0.2.25) send",
        ),
        ("example.com", "TXT", ["v=spf1 +all"], BAD, "lets everybody send"),
        ("example.com", "TXT", ["v=spf1 nonsense"], BAD, "can't be used"),
        ("example.com", "TXT", ["v=spf1 mx -all", "v=spf1 a -all"], BAD, "2 SPF records"),
        ("_dmarc.example.com", "TXT", ["v=DMARC1;p=none;rua=mailto:x@example.com"], GOOD, ""),
        ("_dmarc.example.com", "TXT", ["v=DMARC1; sp=none"], BAD, "“v=DMARC1; sp=none”"),
        ("_dmarc.example.com", "TXT", ["v=DMARC1; p=none", "v=DMARC1; p=reject"], BAD, "and"),
        ("minijmap._domainkey.example.com", "TXT", ["v=DKIM1; k=rsa; p=AAAA"], BAD, "is another one"),
        ("minijmap._domainkey.example.com", "TXT", ["v=DKIM1; p="], BAD, "is revoked"),
        ("minijmap._domainkey.example.com", "TXT", ["hello"], BAD, "is revoked, or there is none"),
        ("_jmap._tcp.example.com", "SRV", ["5 5 8443 jmap.example.com."], GOOD, ""),
        ("_jmap._tcp.example.com", "SRV", ["0 1 443 jmap.example.com."], BAD, "leads to jmap.example.com port 443"),
        ("_submission._tcp.example.com", "SRV", ["0 0 0 ."], BAD, "leads to . port 0"),
        ("_smtp._tls.example.com", "TXT", ["v=TLSRPTv1; rua=mailto:other@example.com"], GOOD, ""),
        ("_mta-sts.example.com", "TXT", ["v=STSv1; id=1"], GOOD, ""),
    ],
)
def test_what_is_published_instead(published, name, kind, values, status, said):
    """What means the same is as good; of what doesn't, it is said what is there and what would be right."""
    folder, server = published
    before = dict(server.records)
    server.add(name, kind, *values)
    found, lines = check(folder)
    server.records = before
    assert found == status
    (wrong,) = [one for one in lines if one.startswith("    ")] or [""]
    assert said in wrong
    assert ("Right would be: " in wrong) == (status == BAD)


def test_a_key_written_in_another_way(folder, server):
    """RFC 6376 §3.6.1: tags in any order, with any space, without those that have a default."""
    records, _ = printed(folder)
    publish(server, records, *LEVELS)
    name = "minijmap._domainkey.example.com"
    key = text_of(records["required", name, "TXT"]).rpartition("p=")[2]
    server.add(name, "TXT", f"p = {key[:100]} {key[100:]} ; t=s;")
    assert check(folder)[0] == GOOD


def test_look_ups_that_fail(folder, server):
    """They are neither missing nor published: it is said that they can't be looked up, and why."""
    records, _ = printed(folder)
    publish(server, records, *LEVELS)
    server.fail("_dmarc.example.com", "servfail")
    status, lines = check(folder)
    assert status == BAD
    assert any(line.startswith("unknown    recommended  DMARC") for line in lines)
    assert any("_dmarc.example.com can't be looked up: " in line for line in lines)


def test_the_server_has_no_address(folder, server):
    """No record here can mend that, so it is said, and nothing more."""
    records, _ = printed(folder)
    publish(server, records, *LEVELS)
    server.remove("mail.example.com", "A")
    status, lines = check(folder)
    assert "mail.example.com has no address: publish an A record with this machine's public address." in lines
    assert status == GOOD
