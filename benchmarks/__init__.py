"""The measuring room: looks at a clock and prints; never imported by the others."""
