# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A dry run goes on after an event that the export would set aside, and shows the reason without a secret."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.export import preview, secrets
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import Prepared, UnfitError
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.settings import Settings
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.export_model import Destination, QueuedChange

from tests.unit.plugins.plugin_utils.export import kind


class _Receiver:
    def __init__(self, error: Exception) -> None:
        self._error = error

    def prepare(self, event: t.Mapping[str, t.Any], key: str) -> Prepared:
        if key == "bad":
            raise self._error
        return Prepared(event["metadata"]["uid"], key, b"token s3cr3t")

    def close(self) -> None:
        """Have nothing to close."""


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (UnfitError("no room for s3cr3t"), "no room for ********"),
        (KeyError("s3cr3t"), "it could not be formatted: KeyError: '********'"),
    ],
)
def test_a_bad_event_is_shown_with_its_problem(monkeypatch: pytest.MonkeyPatch, error: Exception, problem: str) -> None:
    kind.register(monkeypatch).receivers["siem"] = _Receiver(error)
    settings = Settings(Destination("siem", "webhook", "siem"), {}, secrets.Redactor(["s3cr3t"]))
    event = {"metadata": {"uid": "u"}}
    changes = [
        QueuedChange(number, key, "new", "web1", "audit", 0, 9, lambda: event)
        for number, key in enumerate(("bad", "good"))
    ]
    bad, good = preview.of_changes(settings, changes)
    assert (bad["body"], bad["problem"]) == (None, problem)
    assert (good["body"], good["problem"]) == ("token ********", None)
