"""The front door: RFC 8620's resources over HTTP. It knows requests and answers, not JMAP's methods."""
