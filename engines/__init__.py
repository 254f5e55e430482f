"""Arrays in, arrays out: what can run in the therapy room without knowing the time or a device."""
