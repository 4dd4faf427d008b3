"""``basis scenarios``: what a run can be put under."""

from typing import TYPE_CHECKING

from dataflow.cli.commands.options import AsJson
from dataflow.cli.commands.output import print_json, print_table

if TYPE_CHECKING:
    from schemas.models.config_scenario import ScenarioConfig


def scenarios(as_json: AsJson = False) -> None:
    """List the scenarios: switches, shocks, and what each is for. `basis backtest MODE --scenario NAME` runs one.

    Example:  basis scenarios
    """
    from dataflow.config.files import list_scenarios, load_scenario

    loaded = [load_scenario(name) for name in list_scenarios()]
    if as_json:
        print_json({"scenarios": [each.model_dump(mode="json", exclude_defaults=True) for each in loaded]})
        return
    print_table("Scenarios", ("scenario", "shocks and switches", "description"), [_row(each) for each in loaded])


def _row(scenario: "ScenarioConfig") -> tuple[str, str, str]:
    switches = sorted(scenario.model_fields_set - {"name", "description", "shocks"})
    return scenario.name, ", ".join([*scenario.shocks.present(), *switches]), scenario.description
