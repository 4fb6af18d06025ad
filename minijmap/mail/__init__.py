"""Mail data types: RFC 8621 and its companions, from MIME octets up to JMAP methods."""
