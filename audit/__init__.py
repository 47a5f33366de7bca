"""The independent auditor: judges a run from its ledger alone.

It imports nothing of the algorithm and shares no number with it: schema, family registry, fee bounds, ceilings, the
table of trade states and the exchange calendar are its own.
"""
