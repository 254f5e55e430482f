"""Networks as PyTorch modules: they know tensors and sizes, no files, no devices, no NumPy."""
