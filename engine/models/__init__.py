"""LEAN's reality models as pure functions and stateless classes: fills, fees, brokerages, margin, expiry, settlement."""
