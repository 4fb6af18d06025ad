"""Contacts: JMAP for Contacts (RFC 9610), JSContact (RFC 9553) and vCard (RFC 9555)."""
