"""The command line: quick help, one sentence per error, and exit codes that mean what they say."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import click
import pytest

from tools import cli
from tools.commands.test import pytest_command
from tools.errors import BulkheadUsageError, RunFailedError
from tools.paths import ROOT

HEAVY = ("numpy", "pandas", "scipy", "plotly", "rich", "exchange_calendars", "engine", "core", "tools.market")


@pytest.mark.parametrize("name", list(cli.COMMANDS))
def test_every_command_has_help_and_the_line_that_the_list_shows(name: str) -> None:
    module, line = cli.COMMANDS[name]
    command = import_module(module).command
    assert command.name == name
    assert command.short_help == line
    assert command.help


@pytest.mark.parametrize("name", list(cli.COMMANDS))
def test_help_of_every_command_is_success(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([name, "--help"]) == 0
    assert "Usage: bulkhead" in capsys.readouterr().out


def test_help_imports_nothing_heavy() -> None:
    code = (
        f"import sys; from tools.cli import main; main(['--help']); print([m for m in {HEAVY!r} if m in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert answer.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["doctor", "--nonsense"],
        ["explain"],
        ["explain", "/nowhere"],
        ["explain", "x", "--session", "soon"],
        [],
    ],
)
def test_wrong_usage_is_code_2_without_a_traceback(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "Traceback" not in said.err


@pytest.mark.parametrize(
    ("error", "code"), [(BulkheadUsageError("the sentence"), 2), (RunFailedError("the sentence"), 1)]
)
@pytest.mark.parametrize("debug", [False, True])
def test_an_error_is_its_sentence_and_its_code(
    error: Exception, code: int, debug: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @click.command("doctor")
    def failing() -> None:
        raise error

    monkeypatch.setattr("tools.commands.doctor.command", failing)
    assert cli.main(["doctor", "--debug"] if debug else ["doctor"]) == code
    said = capsys.readouterr().err
    assert said.endswith("bulkhead: the sentence\n")
    assert ("Traceback" in said) is debug


@pytest.mark.parametrize("debug", [False, True])
def test_a_programming_error_is_one_sentence_unless_asked_for_more(debug: bool, tmp_path: Path) -> None:
    code = (
        "import sys, click, tools.commands.doctor as d\n"
        "@click.command('doctor')\n"
        "def broken(): raise KeyError('x')\n"
        "d.command = broken\n"
        "from tools.cli import main\n"
        f"sys.exit(main({['doctor', '--debug'] if debug else ['doctor']!r}))"
    )
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert answer.returncode == 1
    assert ("Traceback" in answer.stderr) is debug
    assert debug or (answer.stderr.count("\n") == 1 and "KeyError" in answer.stderr)


@pytest.mark.parametrize(
    ("arguments", "full", "expected"),
    [
        ([], False, ["-n", "auto", "--dist", "worksteal", "-m", "not long"]),
        ([], True, ["-n", "auto", "--dist", "worksteal"]),
        (["-k", "FP40"], False, ["-n", "auto", "--dist", "worksteal", "-m", "not long", "-k", "FP40"]),
        (["-n0", "-x"], False, ["-m", "not long", "-n0", "-x"]),
        (["-m", "lean"], False, ["-n", "auto", "--dist", "worksteal", "-m", "lean"]),
    ],
)
def test_what_the_user_tells_pytest_wins(arguments: list[str], full: bool, expected: list[str]) -> None:
    assert pytest_command(arguments, full=full)[3:] == expected
