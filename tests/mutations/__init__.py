"""Faults that the tests must notice, see run.py."""
