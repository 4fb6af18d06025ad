"""SMTP: mail from other servers comes in here (RFC 5321 and the extensions that EHLO names).

The listener accepts connections, a conversation speaks the protocol over one, recipients says whose an address is.
"""
