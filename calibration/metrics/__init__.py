"""How good a picture is, one measure per file, each after its published definition."""
