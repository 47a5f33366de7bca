"""LEAN's reality models as pure functions and small classes: fills, fees, brokerages, margin, expiry, settlement."""
