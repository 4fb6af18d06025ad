"""What quotas bring to the engine: the type, and the counts of what was there before they were kept (RFC 9425)."""

from collections.abc import Sequence

from minijmap.jmap.datatype import DataType
from minijmap.jmap.methods import Family
from minijmap.quota.quota import CAPABILITY, quota_type
from minijmap.store.schema import Migration

QUOTA_MIGRATIONS = (
    Migration(
        "quota-1",
        """
        INSERT INTO usage SELECT account, 'Mailbox', count(*) FROM mailbox GROUP BY account;
        INSERT INTO usage SELECT account, 'Identity', count(*) FROM identity GROUP BY account;
        INSERT INTO quota (account, created, changed, reshaped, resource, hard_limit)
            SELECT account, 0, 0, 0, resource, CASE resource WHEN 'Mailbox' THEN 10000 ELSE 1000 END
            FROM usage WHERE resource IN ('Mailbox', 'Identity');
        """,
    ),
)


def family(types: Sequence[DataType]) -> Family:
    """Return the family. `types` are those of all families."""
    return Family(capabilities=(CAPABILITY,), types=(quota_type(types),), migrations=QUOTA_MIGRATIONS)
