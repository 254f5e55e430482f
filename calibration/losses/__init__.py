"""The papers' losses, one small function per equation: tensors in, one number out."""
