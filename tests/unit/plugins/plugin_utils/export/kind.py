# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A kind of destination for tests: it exists only where a test registers it."""

from __future__ import annotations

import types
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.export import kinds, secrets
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import ExportError, Receiver

ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "url": {"type": "str", "required": True},
    "port": {"type": "int"},
    **secrets.arguments("token"),
}


class Kind(types.ModuleType):
    """receivers: what ``open_receiver`` returns by the name of the destination; an exception is raised."""

    ARGUMENTS = ARGUMENTS

    def __init__(self) -> None:
        super().__init__("test_kind")
        self.receivers: dict[str, t.Any] = {}
        self.opened: list[tuple[str, dict[str, t.Any]]] = []

    def check(self, settings: t.Mapping[str, t.Any]) -> None:
        if "://" not in settings["url"]:
            raise ExportError(f"url '{settings['url']}' is not a URL; write https://HOST (token {settings['token']})")

    def open_receiver(self, settings: t.Mapping[str, t.Any], destination_name: str) -> Receiver:
        self.opened.append((destination_name, dict(settings)))
        receiver = self.receivers[destination_name]
        if isinstance(receiver, Exception):
            raise receiver
        return t.cast("Receiver", receiver)


def register(monkeypatch: pytest.MonkeyPatch) -> Kind:
    """Make ``webhook`` the only kind of destination, and return it."""
    kind = Kind()
    monkeypatch.setattr(kinds, "KINDS", {"webhook": "url"})
    monkeypatch.setattr(kinds, "load", {"webhook": kind}.__getitem__)
    monkeypatch.setattr(kinds, "arguments", lambda: {"webhook": {"type": "dict", "options": ARGUMENTS}})
    return kind


def entry(name: str, **options: t.Any) -> dict[str, t.Any]:
    """Return a configured destination as a user writes it."""
    return {"name": name, "webhook": {"url": f"https://{name}.example.com/in", "token": "s3cr3t"}, **options}
