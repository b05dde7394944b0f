"""Checks of one family; each file is one check."""
