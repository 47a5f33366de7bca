"""Errors of the command line; each text is one sentence with field, value, expectation and remedy.

ToolError
├─ BulkheadUsageError    wrong usage or bad input: exit code 2, nothing was run
└─ RunFailedError        the run itself failed or violated a principle: exit code 1, the run folder tells more
"""

from __future__ import annotations

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2


class ToolError(Exception):
    """Base of the errors that the command line turns into a sentence on stderr and an exit code."""

    exit_code = EXIT_FAILED


class BulkheadUsageError(ToolError):
    """The command or its input is wrong. Nothing was run."""

    exit_code = EXIT_USAGE


class RunFailedError(ToolError):
    """The run ended in an error or violated a principle. What it left behind is in its run folder."""

    exit_code = EXIT_FAILED
