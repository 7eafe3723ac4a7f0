# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.export import fit
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.formats import cef, leef, ocsf
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import UnfitError

from tests.support import hostile_events

FORMATS = (ocsf.render, cef.render, leef.render)


def fitted(event: dict[str, t.Any], limit: int | None) -> tuple[dict[str, t.Any], fit.Fitted]:
    """Return what a receiver of OCSF gets, and the counts."""
    result = fit.fit(event, limit, ocsf.render)
    return json.loads(result.body), result


def test_what_is_small_enough_stays_as_it_is() -> None:
    event = hostile_events.plain()[0]
    whole = ocsf.render(event).body
    assert fit.fit(event, None, ocsf.render) == fit.Fitted(whole)
    assert fit.fit(event, len(whole), ocsf.render) == fit.Fitted(whole)


def test_evidences_go_from_the_last_and_as_few_as_possible() -> None:
    event = hostile_events.large(100, 1_000)
    received, result = fitted(event, 8_000)
    stays = len(received["evidences"])
    assert received["evidences"] == event["evidences"][:stays]
    assert result.removed == 100 - stays > 0
    assert result.shortened == 0
    assert 8_000 - 1_100 < len(result.body) <= 8_000, "another evidence would have fitted"
    assert received["unmapped"]["notes"] == [f"export: {result.removed} of 100 evidences left out, the store has all"]


@pytest.mark.parametrize("limit", [4_096, 8_000, 65_536])
@pytest.mark.parametrize("render", FORMATS)
@pytest.mark.parametrize(
    "event", [hostile_events.large(), hostile_events.large_vulnerability(), hostile_events.large_scan()]
)
def test_every_format_stays_below_the_limit(
    event: dict[str, t.Any], render: t.Callable[[fit.Event], fit.Rendered], limit: int
) -> None:
    assert 0 < len(fit.fit(event, limit, render).body) <= limit


def test_ids_severity_host_times_and_remediation_stay_whole() -> None:
    event = hostile_events.large(20, 20_000)
    event |= {"message": "m" * 20_000}
    event["finding_info"] = {**event["finding_info"], "desc": "d" * 20_000}
    received, result = fitted(event, 4_096)
    for name in ("metadata", "device", "remediation", "severity", "severity_id", "time", "start_time", "end_time"):
        assert received[name] == event[name]
    assert received["finding_info"] == {**event["finding_info"], "desc": received["finding_info"]["desc"]}
    assert (result.removed, result.shortened) == (20, 2)
    assert received["unmapped"]["notes"] == [
        "export: 20 of 20 evidences left out, the store has all",
        "export: 2 values shortened, the store has all",
    ]


def test_observables_go_before_any_evidence() -> None:
    event = hostile_events.plain()[0]
    whole = len(json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode())
    received, result = fitted(event, whole - 1)
    assert received["evidences"] == event["evidences"]
    assert 0 < len(received["observables"]) < len(event["observables"])
    assert result.removed == len(event["observables"]) - len(received["observables"])


def test_one_value_that_is_too_long_costs_no_evidence() -> None:
    event = {**hostile_events.plain()[0], "message": "é" * 100_000}
    # They follow from the evidences, and would go first.
    del event["observables"]
    received, result = fitted(event, 8_000)
    assert received["evidences"] == event["evidences"]
    assert received["message"] == "é" * 1_999 + "…"
    assert (result.removed, result.shortened) == (0, 1)
    assert received["unmapped"]["notes"] == ["export: 1 values shortened, the store has all"]


def test_texts_are_cut_no_more_than_needed() -> None:
    event = dict(hostile_events.plain()[2])
    del event["evidences"]
    event["unmapped"] = {**event["unmapped"], **{f"text_{number}": "x" * 1_500 for number in range(5)}}
    received, result = fitted(event, 8_000)
    lengths = {len(received["unmapped"][f"text_{number}"]) for number in range(5)}
    assert len(lengths) == 1
    assert 7_800 < len(result.body) <= 8_000
    assert result.shortened == 5


def test_the_most_serious_vulnerability_stays() -> None:
    event = hostile_events.large_vulnerability()
    received, result = fitted(event, 8_000)
    assert received["vulnerabilities"] == event["vulnerabilities"][: len(received["vulnerabilities"])]
    assert received["vulnerabilities"]
    assert received["unmapped"]["vulnerability_count"] == 2_000
    assert result.removed > 0


def test_every_capability_of_a_scan_stays_and_those_that_were_not_checked_keep_their_scopes_longest() -> None:
    event = hostile_events.large_scan(20)
    received, result = fitted(event, 12_000)
    names = ["capability", "status", "last_checked_time"]
    assert [[look[name] for name in names] for look in received["unmapped"]["coverage"]] == [
        [look[name] for name in names] for look in event["unmapped"]["coverage"]
    ]
    assert received["unmapped"]["coverage"][0] == event["unmapped"]["coverage"][0]
    assert received["unmapped"]["coverage"][0]["status"] == "not_checked"
    assert "scopes" not in received["unmapped"]["coverage"][2]
    assert result.removed == 2
    assert received["unmapped"]["notes"] == ["export: 2 of 3 capabilities' scopes left out, the store has all"]


def test_no_list_is_left_empty() -> None:
    event = hostile_events.large(3, 700)
    received, result = fitted(event, len(ocsf.render({**event, "evidences": []}).body) + 100)
    assert "evidences" not in received
    assert result.removed == 3


def test_what_never_fits_is_refused() -> None:
    event = hostile_events.plain()[0]
    with pytest.raises(
        UnfitError, match=r"it has \d+ bytes without evidences and long texts, and the limit is 500 bytes"
    ):
        fit.fit(event, 500, ocsf.render)


def test_an_event_keeps_its_own_lists() -> None:
    event = hostile_events.large(20, 1_000)
    before = json.dumps(event)
    fit.fit(event, 4_096, ocsf.render)
    assert json.dumps(event) == before


@pytest.mark.parametrize("render", FORMATS)
def test_hostile_events_fit_or_are_refused_with_a_reason(render: t.Callable[[fit.Event], fit.Rendered]) -> None:
    fits = 0
    for event in hostile_events.many()[::10]:
        try:
            assert len(fit.fit(event, 8_000, render).body) <= 8_000
        except UnfitError:
            continue
        fits += 1
    assert fits > 20
