"""What blob management brings to the engine: its capability and its methods (RFC 9404)."""

from collections.abc import Sequence

from minijmap.blob.capability import blob_capability
from minijmap.blob.getting import BLOB_GET
from minijmap.blob.lookup import BLOB_LOOKUP
from minijmap.blob.upload import upload_method
from minijmap.jmap.datatype import DataType
from minijmap.jmap.methods import Family


def family(types: Sequence[DataType], max_size: int) -> Family:
    """Return the family. `types` are those of all families, `max_size` is the most octets of a blob."""
    return Family(
        capabilities=(blob_capability(types, max_size),),
        methods=(upload_method(max_size), BLOB_GET, BLOB_LOOKUP),
    )
