"""Measured comparisons; run them with `make bench`."""
