# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each alert that Defender for Cloud publishes for Linux hosts has alerts of ours, or a reason why it can't have any.

A row that Defender rolls up over the day (``[seen multiple times]``) is the row without that: a finding has a count.
"""

from __future__ import annotations

import csv
import functools
import pathlib
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.audit import detections

from tests.content.audit import harness
from tests.support import paths, require

REFERENCE = paths.ROOT.parent / "shared" / "reference" / "azure_alert_reference.csv"
CONTENT = catalogue.CONTENT / detections.CAPABILITY
LEAST_ALERTS = 60
_ROLLED_UP = " [seen multiple times]"
_SYSTEMS = ("Linux", "Network (any OS)")
_CONTROL_PLANE = "(Cloud control-plane signal"


@functools.lru_cache(maxsize=1)
def mapped() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for path in sorted((CONTENT / "defender").glob("*.yml")):
        for row, alerts in catalogue.read(path).items():
            found.setdefault(row, []).extend(alerts)
    return found


@functools.lru_cache(maxsize=1)
def not_detectable() -> dict[str, str]:
    reasons: dict[str, str] = catalogue.read(CONTENT / "not_detectable.yml")
    return reasons


def rows() -> list[dict[str, str]]:
    # The reference lies beside the data.
    require("data")
    with pathlib.Path(REFERENCE).open(encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file) if row["os"] in _SYSTEMS]


def names(selected: t.Iterable[t.Mapping[str, str]]) -> set[str]:
    return {row["name"].removesuffix(_ROLLED_UP) for row in selected}


def raised_by_a_detection() -> set[str]:
    """Return the alerts that a rule with cases, or a threat list, raises."""
    rules = {stem: rule for stem, rule in harness.sources().items() if stem not in harness.components()}
    return {rule["bulwark"]["alert"] for rule in rules.values()} | {
        alert.id for alert in catalogue.load() if alert.id.startswith("threat_list_")
    }


def test_every_row_is_mapped_or_has_a_reason() -> None:
    published = names(rows())
    assert len(published) > 80
    assert published - set(mapped()) - set(not_detectable()) == set()


def test_nothing_is_mapped_that_is_not_published() -> None:
    assert (set(mapped()) | set(not_detectable())) - names(rows()) == set()


def test_no_row_is_both() -> None:
    assert set(mapped()) & set(not_detectable()) == set()
    assert all(len(reason.split()) > 5 for reason in not_detectable().values())


def test_what_the_control_plane_sees_is_all_that_has_a_reason_but_for_a_few() -> None:
    control_plane = names(row for row in rows() if row["description"].startswith(_CONTROL_PLANE))
    assert control_plane == set(not_detectable()) & control_plane
    assert len(set(not_detectable()) - control_plane) <= 6


def test_every_alert_that_a_row_names_is_raised_by_a_detection() -> None:
    named = {alert for alerts in mapped().values() for alert in alerts}
    assert named - raised_by_a_detection() == set()


def test_there_are_many_distinct_alerts() -> None:
    in_catalogue = {alert.id for alert in catalogue.load() if alert.capability == detections.CAPABILITY}
    assert raised_by_a_detection() <= in_catalogue
    assert len(raised_by_a_detection()) >= LEAST_ALERTS
