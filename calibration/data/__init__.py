"""Readers of the data that teach and judge the engines."""
