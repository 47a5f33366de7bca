"""`./bulkhead test`: the test suite, with every core of the machine."""

from __future__ import annotations

import os
import subprocess
import sys

import click

from tools.paths import ROOT


@click.command(
    "test",
    short_help="Run the test suite; further arguments go to pytest.",
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": ["--help"]},
)
@click.option("--full", is_flag=True, help="Add the long property, storm and conformance runs.")
@click.argument("pytest_arguments", nargs=-1, type=click.UNPROCESSED)
def command(full: bool, pytest_arguments: tuple[str, ...]) -> int:
    """Run the test suite.

    Everything else on the line goes to pytest: `./bulkhead test -k FP40`, `./bulkhead test tests/engine -x`.
    Tests run on all cores in random order; pytest prints the seed of the order, `--randomly-seed=N` repeats it.
    """
    environment = {"BULKHEAD_HYPOTHESIS": "anew" if full else "quick", **os.environ}
    return subprocess.call(pytest_command(list(pytest_arguments), full=full), cwd=ROOT, env=environment)


def pytest_command(arguments: list[str], *, full: bool) -> list[str]:
    """Return the pytest command line: what the user says wins over our defaults."""
    line = [sys.executable, "-m", "pytest"]
    if not any(word == "-n" or word.startswith(("-n", "--numprocesses", "--dist")) for word in arguments):
        line += ["-n", "auto", "--dist", "worksteal"]
    if not any(word == "-m" or word.startswith("-m") for word in arguments) and not full:
        line += ["-m", "not long"]
    return [*line, *arguments]
