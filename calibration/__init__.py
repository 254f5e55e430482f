"""The teaching room: fits and judges what the engines load."""
