"""Signals of the ETF rotation: one minute of the index share in, one probability of "up" out."""
