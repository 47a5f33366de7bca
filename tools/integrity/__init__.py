"""The integrity test of the ETF book: hostile signals and a faulty broker, and two counts of what came of it.

`cells` names the conditions, `tape` is the market, `venue` the broker with its faults, `run` drives the whole core
through both, `broker_count` counts from the broker's own executions and `audit_count` from the auditor's replay of the
ledger; `table` puts the result beside the predecessor's.
"""
