"""``basis config``: the configuration of a run, and every fault of configuration files."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dataflow.cli.commands.failures import EXIT_USAGE, CommandFailedError
from dataflow.cli.commands.options import AsJson, ModeArgument, Overrides, Scenarios
from dataflow.cli.commands.output import print_error, print_json, print_line

if TYPE_CHECKING:
    from dataflow.config.files import ConfigFault

Paths = Annotated[
    list[Path] | None, typer.Argument(metavar="[PATH]...", help="Files or directories; the shipped ones without any.")
]


def show(mode: ModeArgument, scenario: Scenarios = None, set_: Overrides = None, as_json: AsJson = False) -> None:
    """Print the configuration of a run as YAML: mode, venues, share class and scenario, merged.

    Example:  basis config show btc_basis --scenario frictionless --set strategy_config.funding_enter_apr=0.1
    """
    import yaml

    from dataflow.config.files import load_run_config

    loaded = load_run_config(mode, scenarios=tuple(scenario or ()), overrides=tuple(set_ or ()))
    for warning in loaded.warnings:
        print_error(f"warning: {warning}")
    merged = loaded.config.model_dump(mode="json")
    if as_json:
        print_json({"config": merged, "config_digest": loaded.config.config_digest})
    else:
        print_line(yaml.safe_dump(merged, sort_keys=False, allow_unicode=True).rstrip())


def check(paths: Paths = None, as_json: AsJson = False) -> None:
    """Check configuration files and name every fault: file, line, key, what is wrong. Exit code 2 if there is one.

    Example:  basis config check configs/modes/btc_basis.yaml
    """
    from dataflow.config.files import check_report

    report = check_report(tuple(paths or ()))
    if as_json:
        print_json(
            {
                "files": list(report.files),
                "faults": [_as_object(fault) for fault in report.faults],
                "warnings": [_as_object(warning) for warning in report.warnings],
            }
        )
    else:
        for fault in report.faults:
            print_line(fault_line(fault), "red")
        for warning in report.warnings:
            print_line(f"warning: {fault_line(warning)}", "yellow")
        print_error(f"{len(report.files)} files: {len(report.faults)} faults, {len(report.warnings)} warnings")
    if report.faults:
        raise CommandFailedError(EXIT_USAGE)


def fault_line(fault: "ConfigFault") -> str:
    """Write a fault as ``file:line key: CODE message``."""
    place = f"{fault.file}:{fault.line}"
    where = f"{place} {fault.key}" if fault.key else place
    return f"{where}: {fault.code.value} {fault.message}"


def _as_object(fault: "ConfigFault") -> dict[str, object]:
    return {
        "file": fault.file,
        "line": fault.line,
        "key": fault.key,
        "code": fault.code.value,
        "message": fault.message,
    }
