"""What recording and examining cost: `python -m bench`, or `make bench`."""
