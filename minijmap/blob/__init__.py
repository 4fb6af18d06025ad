"""Blob management: RFC 9404, but for Blob/copy, which is the core's (RFC 8620 §6.3)."""
