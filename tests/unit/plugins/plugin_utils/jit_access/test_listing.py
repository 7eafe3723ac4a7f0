# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of requests has the id of each that somebody can approve, open or close."""

from __future__ import annotations

import dataclasses

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.jit_access.listing import lines
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import JitRequest
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.jit_states import STATES

_ID = "2f4b8f0e-8f52-4c39-9a65-0c2a7f3ad1de"
REQUEST = JitRequest(
    id=_ID,
    host="web1",
    ports=("22",),
    protocol="tcp",
    sources=("192.0.2.7",),
    duration=3600,
    requested_by="ada",
    requested_for="ada",
    justification="CHG-1",
    requested_at=1.0,
    valid_until=2.0,
    state="requested",
)


@pytest.mark.parametrize("state", STATES)
def test_each_request_that_waits_or_may_be_open_has_its_id(state: str) -> None:
    text = "\n".join(lines([dataclasses.replace(REQUEST, state=state)], None))
    is_listed = state in ("requested", "approved", "opening", "open", "unknown")
    assert text.count(f"jit_request={_ID}") == is_listed


def test_a_waiting_request_is_named_with_its_host_ports_and_state() -> None:
    assert lines([REQUEST], None)[-1] == f"web1 22/tcp: requested: jit_request={_ID}"


def test_an_id_that_somebody_altered_in_the_store_is_quoted() -> None:
    altered = dataclasses.replace(REQUEST, id="x; reboot")
    assert lines([altered], None)[-1] == "web1 22/tcp: requested: jit_request='x; reboot'"
