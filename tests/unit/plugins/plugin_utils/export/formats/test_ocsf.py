# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.export import visible
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.formats import ocsf
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import UnfitError

from tests.support import hostile_events
from tests.unit.plugins.plugin_utils.ocsf import schema


def shown(value: t.Any) -> t.Any:
    """Return a value in which halves of surrogate pairs are shown, as UTF-8 has no form for them."""
    if isinstance(value, str):
        return visible.without_surrogates(value)
    if isinstance(value, dict):
        return {key: shown(member) for key, member in value.items()}
    return [shown(item) for item in value] if isinstance(value, list) else value


def test_whatever_is_in_an_event_reads_back_as_it_was() -> None:
    for event in hostile_events.many():
        line = ocsf.render(event).body.decode()
        assert json.loads(line) == shown(event)
        assert len(line.splitlines()) == 1


@pytest.mark.parametrize("event", hostile_events.plain(), ids=lambda event: event["class_name"])
def test_an_event_is_what_the_schema_allows(event: dict[str, t.Any]) -> None:
    assert schema.errors(json.loads(ocsf.render(event).body)) == []


def test_large_numbers_stay_whole() -> None:
    assert ocsf.render({"number": 2**63 - 1}).body == b'{"number":9223372036854775807}'


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {1: 2, "a": object()}])
def test_what_json_has_no_form_for_is_refused(value: t.Any) -> None:
    with pytest.raises(UnfitError, match="it cannot be written as JSON"):
        ocsf.render({"value": value})
