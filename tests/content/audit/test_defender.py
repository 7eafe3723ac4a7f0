# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each alert that Defender for Cloud publishes for hosts has alerts of ours, or a reason why it can't have any.

A row that Defender rolls up over the day (``[seen multiple times]``) is the row without that: a finding has a count.
"""

from __future__ import annotations

import csv
import functools
import pathlib
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.audit import detections
from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma.sources import LINUX, PLATFORMS, WINDOWS

from tests.content.audit import harness
from tests.support import paths, require

REFERENCE = paths.ROOT.parent / "shared" / "reference" / "azure_alert_reference.csv"
CONTENT = catalogue.CONTENT / detections.CAPABILITY
LEAST_ALERTS = 60
_ROLLED_UP = " [seen multiple times]"
_SYSTEMS = {LINUX: ("Linux", "Network (any OS)"), WINDOWS: ("Windows",)}
# How many rows have a reason that is not the control plane's: what only memory or application control shows.
_MOST_REASONS = {LINUX: 6, WINDOWS: 5}
_CONTROL_PLANE = "(Cloud control-plane signal"


@pytest.fixture(params=PLATFORMS)
def platform(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@functools.lru_cache(maxsize=2)
def mapped(platform: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    directory = CONTENT / "defender"
    for path in sorted((directory if platform == LINUX else directory / platform).glob("*.yml")):
        for row, alerts in catalogue.read(path).items():
            found.setdefault(row, []).extend(alerts)
    return found


@functools.lru_cache(maxsize=2)
def not_detectable(platform: str) -> dict[str, str]:
    name = "not_detectable.yml" if platform == LINUX else f"not_detectable_{platform}.yml"
    reasons: dict[str, str] = catalogue.read(CONTENT / name)
    return reasons


def rows(platform: str) -> list[dict[str, str]]:
    # The reference lies beside the data.
    require("data")
    with pathlib.Path(REFERENCE).open(encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file) if row["os"] in _SYSTEMS[platform]]


def names(selected: t.Iterable[t.Mapping[str, str]]) -> set[str]:
    return {row["name"].removesuffix(_ROLLED_UP) for row in selected}


def raised_by_a_detection(platform: str) -> set[str]:
    """Return the alerts that a rule with cases, or a threat list, raises."""
    findings = set(harness.sources()) - harness.components()
    rules = {stem: harness.sources()[stem] for stem in findings if harness.platform_of(stem) == platform}
    return {rule["bulwark"]["alert"] for rule in rules.values()} | {
        alert.id for alert in catalogue.load() if alert.id.startswith("threat_list_")
    }


def test_every_row_is_mapped_or_has_a_reason(platform: str) -> None:
    published = names(rows(platform))
    assert len(published) > 80
    assert published - set(mapped(platform)) - set(not_detectable(platform)) == set()


def test_nothing_is_mapped_that_is_not_published(platform: str) -> None:
    assert (set(mapped(platform)) | set(not_detectable(platform))) - names(rows(platform)) == set()


def test_no_row_is_both(platform: str) -> None:
    assert set(mapped(platform)) & set(not_detectable(platform)) == set()
    assert all(len(reason.split()) > 5 for reason in not_detectable(platform).values())


def test_what_the_control_plane_sees_is_all_that_has_a_reason_but_for_a_few(platform: str) -> None:
    control_plane = names(row for row in rows(platform) if row["description"].startswith(_CONTROL_PLANE))
    # What Azure's extension for antimalware reports, the log of Windows' own antivirus program has, too.
    seen = set() if platform == LINUX else {name for name in control_plane if name.startswith("Antimalware ")}
    assert control_plane - seen == set(not_detectable(platform)) & control_plane
    assert len(set(not_detectable(platform)) - control_plane) <= _MOST_REASONS[platform]


def test_every_alert_that_a_row_names_is_raised_by_a_detection(platform: str) -> None:
    named = {alert for alerts in mapped(platform).values() for alert in alerts}
    assert named - raised_by_a_detection(platform) == set()


def test_there_are_many_distinct_alerts(platform: str) -> None:
    in_catalogue = {alert.id for alert in catalogue.load() if alert.capability == detections.CAPABILITY}
    assert raised_by_a_detection(platform) <= in_catalogue
    assert len(raised_by_a_detection(platform)) >= LEAST_ALERTS
