"""Whether Pigeonhole stands beside ours in this run: without it every case is held against the RFC's text alone."""

import pytest

from minijmap.sieve.host import Envelope
from tests.sieve.trials import PLAIN, SIEVE_TEST, pigeonhole


@pytest.mark.skipif(not SIEVE_TEST, reason="sieve-test is not here (Debian: dovecot-sieve), so no case is asked of it")
def test_pigeonhole_is_asked():
    """The oracle runs, and can tell yes from no."""
    envelope = Envelope("sender@example.com", "user@example.org")
    script = 'require "fileinto"; if header :contains "subject" "{}" {{ fileinto "Found"; }}'

    assert pigeonhole(script.format("here"), PLAIN, envelope) == "into Found"
    assert pigeonhole(script.format("nowhere"), PLAIN, envelope) == "keep"
