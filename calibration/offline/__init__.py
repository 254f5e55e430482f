"""Recordings taken through the stages of a live session without its clock, and the tables that come out."""
