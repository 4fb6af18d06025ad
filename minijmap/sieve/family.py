"""What Sieve brings to the engine: its capability, its type, its method and tables."""

from minijmap.jmap.methods import Family
from minijmap.sieve.capability import sieve_capability
from minijmap.sieve.schema import SIEVE_MIGRATIONS
from minijmap.sieve.script import SieveScriptType
from minijmap.sieve.validate import SIEVE_SCRIPT_VALIDATE


def family() -> Family:
    """Return the family."""
    return Family(
        capabilities=(sieve_capability(),),
        types=(SieveScriptType(),),
        methods=(SIEVE_SCRIPT_VALIDATE,),
        migrations=SIEVE_MIGRATIONS,
    )
