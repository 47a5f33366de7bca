"""Exceptions of the algorithm.  Refusing is normal and is a `Verdict`; these are for what must not happen.

BulkheadError
├─ SettingsError        the run does not start
├─ VocabularyError      a value that cannot exist was about to be made; the caller is close-only
├─ LedgerError          openings stop before the order the record belongs to; closings go on
├─ ComponentError       one component is not READY; section 1 of the risk rules says what follows
│  ├─ TransientError    it has no data yet; construction is retried on the algorithm's clock
│  └─ PermanentError    a contract or a capability is missing; retried once, at the next open
└─ StateError           a stored state cannot be used; the trades it names are frozen
"""

from __future__ import annotations


class BulkheadError(Exception):
    """Base of every error that the algorithm raises itself."""


class SettingsError(BulkheadError):
    """One or more settings are unknown or out of range. The run does not start; every bad field is listed at once."""

    def __init__(self, sentences: list[str]) -> None:
        super().__init__("\n".join(sentences))
        self.sentences = tuple(sentences)


class VocabularyError(BulkheadError):
    """A structure, leg or order that makes no sense (symbol twice, ratio 0, ratios with a common factor). Nothing is
    sent.
    """


class LedgerError(BulkheadError):
    """An event was not written or the chain is broken. Openings stop before the order it belongs to; closings go on,
    kept in memory.
    """


class ComponentError(BulkheadError):
    """A component could not be built or has failed. Its row of the component table says what is still permitted."""


class TransientError(ComponentError):
    """The component has no data yet. It is built again after 1, 2, 4, 8, 15 minutes, then every 15 minutes."""


class PermanentError(ComponentError):
    """A contract or capability is missing. It is tried once more, at the next open."""


class StateError(BulkheadError):
    """A stored state cannot be read or does not fit. What it names is frozen, never guessed and never traded away."""
