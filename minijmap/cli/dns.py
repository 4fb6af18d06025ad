"""`minijmap dns`: what a domain publishes so that its mail works, and whether it does."""

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from minijmap.cli.data import Place, data_option, opened

if TYPE_CHECKING:
    from minijmap.smtp.zone import Plan


def _domain(_: click.Context, __: click.Parameter, value: str) -> str:
    """Return a domain in A-labels."""
    from minijmap.setting_kinds import host_name

    try:
        domain = host_name(value.lower().rstrip(".").encode("idna").decode())
    except ValueError:
        domain = ""
    if "." not in domain or domain.rpartition(".")[2].isdigit():
        raise click.BadParameter(f"“{value}” is not a domain such as example.com.")
    return domain


@click.command(short_help="What to publish in the DNS, and whether it is.")
@data_option
@click.option(
    "--config",
    "config_file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The settings.  [default: minijmap.toml in the data folder, if there is one]",
)
@click.argument("domain", callback=_domain)
@click.option("--check", "checking", is_flag=True, help="Look up whether it is published, and say what to change.")
@click.pass_obj
def command(place: Place, config_file: Path | None, domain: str, checking: bool) -> None:
    """Print the DNS records that DOMAIN should publish, as a zone file: each after a comment that says what it is for.

    The keys that sign the domain's mail are made if there are none. Names and ports come from the settings: hostname,
    public_url, submission, relay, dkim_selector.

    With --check nothing is printed to paste: each record is looked up (through dns_server), and for each that is
    missing or wrong there is a sentence with what would be right. The exit status is 0 when all required and
    recommended records are published, else 1.
    """
    from minijmap import config
    from minijmap.smtp import dkimkeys, zone
    from minijmap.smtp.recipients import Recipients

    settings = config.load(place.folder, config_file, environ=os.environ)
    with opened(place) as database:
        dkimkeys.ensure(database, domain, settings.dkim_selector, int(time.time() * 1000))
        with database.read() as reader:
            plan = zone.Plan.of(domain, settings, dkimkeys.keys(reader, domain))
            ours = Recipients(settings.aliases).is_ours(reader, f"postmaster@{domain}")
    if checking:
        _check(plan)
        return
    for line in zone.zone(plan, ours=ours):
        click.echo(line)


def _check(plan: "Plan") -> None:
    from minijmap.smtp import zonecheck
    from minijmap.smtp.resolver import Resolver

    questions = Resolver(plan.settings.dns_server)
    findings = zonecheck.check(plan, questions)
    for line in zonecheck.report(findings):
        click.echo(line)
    problem = zonecheck.address_problem(plan, questions)
    if problem is not None:
        click.echo(problem)
    open_ones = sum(not one.is_well for one in findings)
    if open_ones:
        click.echo(f"{open_ones} to publish or to change.")
        sys.exit(1)
    click.echo(f"All that is required and recommended for {plan.domain} is published.")
