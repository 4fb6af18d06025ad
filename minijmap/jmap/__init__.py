"""The JMAP protocol of RFC 8620: requests, references, the standard methods; it knows no data type."""
