"""Push: who hears of a change (RFC 8620 §7)."""
