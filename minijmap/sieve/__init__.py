"""Sieve: RFC 5228 and its extensions as a language of our own, and RFC 9661, its scripts as objects of JMAP."""
