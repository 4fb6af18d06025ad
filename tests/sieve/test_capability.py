"""What the capability says of Sieve, against what there is."""

from minijmap.sieve import capability, registry


def test_the_extensions_are_those_of_the_language():
    """Each of them works, and none that works is left out (RFC 9661 §1.2.1)."""
    assert set(capability.EXTENSIONS) ^ set(registry.EXTENSIONS) == set()
