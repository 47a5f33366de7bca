"""Entry point of `./bulkhead`: imports only the command that is called; errors become a sentence and an exit code."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from types import TracebackType

import click

from tools.errors import EXIT_USAGE, ToolError

# name: (module, one line of help).  The line stands here so that `--help` imports no command; a test compares the two.
COMMANDS: dict[str, tuple[str, str]] = {
    "backtest": ("tools.commands.backtest", "Run main.py over a market and write a run folder."),
    "data": ("tools.commands.data", "Write or validate a LEAN-format data folder."),
    "report": ("tools.commands.report", "(Re)build report.html of a run."),
    "explain": ("tools.commands.explain", "Say why a run traded, and why it did not."),
    "audit": ("tools.commands.audit", "Judge a run from its ledger alone."),
    "integrity": ("tools.commands.integrity", "Run the ETF book against hostile signals and a faulty broker."),
    "live": ("tools.commands.live", "Read what a paper or live run has left."),
    "bench": ("tools.commands.bench", "Measure engine, step and ledger on this machine."),
    "doctor": ("tools.commands.doctor", "List what is here and what is missing."),
    "test": ("tools.commands.test", "Run the test suite; further arguments go to pytest."),
}
INTERRUPTED = 130


class LazyGroup(click.Group):
    """A group that imports a command when it is called: start-up stays below a tenth of a second."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = import_module(COMMANDS[cmd_name][0]).command
        if not isinstance(command, click.Command):
            raise TypeError(f"{COMMANDS[cmd_name][0]}.command is {type(command).__name__}, expected a click command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Exit codes: 0 success, 1 the run failed or violated a principle, 2 wrong usage or bad input.",
)
@click.option("--debug", is_flag=True, help="Show the traceback of an error; may stand anywhere on the line.")
def bulkhead(debug: bool) -> None:
    """Bulkhead trades an options income book and a leveraged-ETF book on LEAN, behind a safety layer that fails closed.

    Start with `backtest`; `COMMAND --help` explains each command.
    """


def main(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code."""
    arguments, debug = _without_debug(list(arguments))
    if not debug:
        sys.excepthook = _one_sentence
    try:
        # click answers with the code of ctx.exit() when it does not leave by itself
        code = bulkhead.main(args=arguments, prog_name="bulkhead", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return EXIT_USAGE
    except click.ClickException as error:
        _complain(_usage_sentence(error))
        return EXIT_USAGE
    except click.Abort:
        return INTERRUPTED
    except ToolError as error:
        if debug:
            traceback.print_exc()
        _complain(str(error))
        return error.exit_code
    return code if isinstance(code, int) else 0


def _without_debug(arguments: list[str]) -> tuple[list[str], bool]:
    if arguments[:1] == ["test"]:  # pytest has a --debug of its own
        return arguments, False
    kept = [word for word in arguments if word != "--debug"]
    return kept, len(kept) != len(arguments)


def _usage_sentence(error: click.ClickException) -> str:
    sentence = error.format_message()
    context = error.ctx if isinstance(error, click.UsageError) else None
    if context is not None:
        sentence += f" See `{context.command_path} --help`."
    return sentence


def _complain(sentence: str) -> None:
    click.echo(f"bulkhead: {sentence}", err=True)


def _one_sentence(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Replace the traceback of a programming error; Python then leaves with exit code 1."""
    place = ""
    while trace is not None:
        code = trace.tb_frame.f_code
        place = f" in {code.co_name}, line {trace.tb_lineno} of {code.co_filename}"
        trace = trace.tb_next
    _complain(f"internal error, {kind.__name__}: {error}{place}. Run it again with --debug and report the traceback.")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
