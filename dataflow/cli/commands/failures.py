"""How a command fails: one line with a code and the exit code of its kind; a traceback only with ``--debug``.

Exit codes: 1 where a run, its data or its records failed, 2 where usage or configuration is wrong. With ``--json`` the
failure is also the one JSON object on standard output: ``{"error": {"code", "message", "context"}}``.
"""

import traceback
from collections.abc import Sequence
from typing import Any, Final

import click
from typer.core import TyperCommand, TyperGroup, TyperOption

from dataflow.cli.commands.output import print_error, print_json
from schemas.errors import ConfigError, ConfigValidationError, CriticalEngineError, EngineInitError, PlatformError

EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2

_DEBUG: Final = "basis.debug"
_JSON_FLAG: Final = "--json"


class CommandFailedError(Exception):
    """A command did its work and the answer is no: everything is printed already, only the exit code is left."""

    def __init__(self, exit_code: int) -> None:
        super().__init__(exit_code)
        self.exit_code = exit_code


def exit_code_of(error: PlatformError) -> int:
    """Exit code of a failure: 2 for what the user wrote, a strategy module included; 1 for everything else."""
    return EXIT_USAGE if isinstance(error, ConfigError | EngineInitError) else EXIT_FAILED


def error_object(error: PlatformError) -> dict[str, object]:
    """The failure as a JSON object."""
    return {"code": error.code.value, "message": error.message, "context": error.context}


def _set_debug(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        ctx.meta[_DEBUG] = True


def _debug_option() -> TyperOption:
    return TyperOption(
        param_decls=["--debug"],
        is_flag=True,
        expose_value=False,
        callback=_set_debug,
        help="Show the traceback of a failure.",
    )


def _usage_failure(error: click.UsageError, as_json: bool) -> click.exceptions.Exit:
    path = error.ctx.command_path if error.ctx is not None else "basis"
    message = " ".join(error.format_message().split()).rstrip(".")
    return _report(ConfigValidationError(f"{message}; see `{path} --help`"), as_json=as_json)


def _report(error: PlatformError, *, as_json: bool) -> click.exceptions.Exit:
    print_error(error.one_line())
    if as_json:
        print_json({"error": error_object(error)})
    return click.exceptions.Exit(exit_code_of(error))


def _unexpected(error: Exception) -> PlatformError:
    where = traceback.extract_tb(error.__traceback__)[-1]
    return CriticalEngineError(
        f"unexpected {type(error).__name__}: {error} (in {where.name}, line {where.lineno}); "
        "repeat with --debug and report the traceback",
    )


class BasisCommand(TyperCommand):
    """A command whose every failure is one line."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.params.append(_debug_option())

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Parse the arguments; a usage error is one line and exit code 2."""
        as_json = _JSON_FLAG in args
        try:
            return super().make_context(info_name, args, parent, **extra)
        except click.UsageError as error:
            raise _usage_failure(error, as_json) from error

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; any failure is one line, or a traceback with ``--debug``."""
        try:
            return super().invoke(ctx)
        except (click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except CommandFailedError as failed:
            raise click.exceptions.Exit(failed.exit_code) from failed
        except click.UsageError as error:
            raise _usage_failure(error, _wants_json(ctx)) from error
        except PlatformError as error:
            raise self._failed(ctx, error, error) from error
        except KeyboardInterrupt as stop:
            raise self._failed(ctx, CriticalEngineError("interrupted; nothing more was written"), stop) from stop
        except Exception as error:  # the rim of the program: whatever is not expected is one line as well
            raise self._failed(ctx, _unexpected(error), error) from error

    @staticmethod
    def _failed(ctx: click.Context, error: PlatformError, cause: BaseException) -> click.exceptions.Exit:
        if ctx.meta.get(_DEBUG):
            print_error("".join(traceback.format_exception(cause)).rstrip())
        return _report(error, as_json=_wants_json(ctx))


def _wants_json(ctx: click.Context) -> bool:
    return bool(ctx.params.get("as_json"))


class BasisGroup(TyperGroup):
    """A group of commands; an unknown command or option is one line."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.params.append(_debug_option())

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Parse the options of the group; an unknown one is one line and exit code 2."""
        as_json = _JSON_FLAG in args
        try:
            return super().make_context(info_name, args, parent, **extra)
        except click.exceptions.NoArgsIsHelpError:
            raise
        except click.UsageError as error:
            raise _usage_failure(error, as_json) from error

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; an unknown one is one line and exit code 2."""
        as_json = _JSON_FLAG in args
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            raise _usage_failure(error, as_json) from error

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - the signature is Click's
        """Commands in the order in which one meets them."""
        return list(self.commands)


def require(condition: bool, message: str, **context: str | int | float | None) -> None:
    """Refuse a use of the command line that no single option shows; ConfigValidationError (CONFIG-003)."""
    if not condition:
        raise ConfigValidationError(message, **context)


def joined(texts: Sequence[str]) -> str:
    """Names in a sentence.

    >>> joined(["a", "b"]), joined([])
    ('a, b', 'none')
    """
    return ", ".join(texts) or "none"
