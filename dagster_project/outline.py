"""What Dagster shows of the project, as text: the committed snapshot in which a lost asset is seen in review.

Renew it, after a change that was meant, with ``python -m dagster_project.outline > tests/dagster/definitions.json``.
"""

import json
import sys
from collections import defaultdict

import dagster as dg

from dagster_project.definitions import build_definitions
from dagster_project.partitions import Months

Outline = dict[str, object]


def outline(definitions: dg.Definitions, months: Months) -> Outline:
    """Keys of the assets by group, checks by asset, jobs and months."""
    groups: defaultdict[str, list[str]] = defaultdict(list)
    checks: defaultdict[str, list[str]] = defaultdict(list)
    for asset in definitions.resolve_asset_graph().assets_defs:
        for key in asset.keys:
            groups[asset.group_names_by_key[key]].append(key.to_user_string())
        for spec in asset.check_specs:
            kind = "blocking" if spec.blocking else "warning"
            checks[spec.asset_key.to_user_string()].append(f"{spec.name} ({kind})")
    jobs = [job.name for job in definitions.resolve_all_job_defs() if not job.name.startswith("__")]
    return {
        "months": [months.first, months.last],
        "jobs": sorted(jobs),
        "groups": {name: sorted(keys) for name, keys in sorted(groups.items())},
        "checks": {key: sorted(names) for key, names in sorted(checks.items())},
    }


def outline_text() -> str:
    """The outline over the default months, as the snapshot holds it."""
    months = Months()
    return json.dumps(outline(build_definitions(months), months), indent=1) + "\n"


if __name__ == "__main__":
    sys.stdout.write(outline_text())
