"""Measurements: `make bench`. Everything runs on loopback, every load is bounded, and no figure is a test."""
