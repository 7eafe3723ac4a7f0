# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Exports to Splunk and a webhook as a user runs them: one task, both receivers, and no secret anywhere."""

from __future__ import annotations

import pathlib
import typing as t

import pytest

from tests.integration.export.test_export_playbooks import Team
from tests.support.controllers import controller
from tests.support.receivers import ReceiverServer, faults, hec
from tests.support.receivers import webhook as receiving
from tests.support.receivers.certificates import Authority

_PATH = "/services/T000/a-secret-of-the-chat"
_TOKEN = "a-token-of-the-pager"


class _Receivers:
    """A collector and a webhook, and the destinations that a user writes for them."""

    def __init__(self, directory: pathlib.Path) -> None:
        authority = Authority(directory)
        self.collector, self.hook = hec.Hec(), receiving.Webhook()
        self.splunk = ReceiverServer(self.collector, authority.issue("127.0.0.1"))
        self.webhook = ReceiverServer(self.hook, authority.issue("127.0.0.1"))
        token = directory / "token"
        token.write_text(hec.TOKEN + "\n")
        tls = {"ca_file": str(authority.file)}
        self.destinations: list[dict[str, t.Any]] = [
            {"name": "splunk", "splunk": {"url": self.splunk.url, "token_file": str(token), **tls}},
            {
                "name": "chat",
                "coverage": False,
                "webhook": {
                    "url": self.webhook.url + _PATH,
                    "secret": receiving.SECRET,
                    "token_environment": "PAGER_TOKEN",
                    "template": {"key": "{token}", "text": "{title} on {host}", "of": "{subject}"},
                    **tls,
                },
            },
        ]


@pytest.fixture
def receivers(tmp_path: pathlib.Path) -> t.Iterator[_Receivers]:
    receivers = _Receivers(tmp_path)
    with receivers.splunk, receivers.webhook:
        yield receivers


@pytest.fixture
def team(tmp_path: pathlib.Path) -> Team:
    return Team(controller("2.21"), tmp_path)


def test_both_receivers_get_what_changed_and_no_secret_is_shown(team: Team, receivers: _Receivers) -> None:
    environment = {"PAGER_TOKEN": _TOKEN}
    team.found("/etc/passwd")
    registered = team.export(environment=environment, bulwark_export=receivers.destinations)
    assert registered.returncode == 0, registered.stdout
    # The queue holds what changes after a destination is known.
    team.found("/etc/shadow", "/etc/hosts")
    shown = team.export("--check", "-vvv", environment=environment, bulwark_export=receivers.destinations)
    receivers.webhook.fail(faults.redirect(f"https://elsewhere.example{_PATH}"))
    receivers.webhook.fail(faults.reply(500, f"no {_TOKEN} {_PATH}".encode()))
    sent = team.export("-vvv", environment=environment, bulwark_export=receivers.destinations)
    assert sent.returncode == 0, sent.stdout

    subjects = [event["event"].get("finding_subject") for event in receivers.collector.indexed]
    assert {"/etc/shadow", "/etc/hosts"} <= set(subjects)
    messages = list(receivers.hook.messages.values())
    assert {message["of"] for message in messages} >= {"/etc/shadow", "/etc/hosts"}
    assert {message["key"] for message in messages} == {_TOKEN}
    for secret in (hec.TOKEN, _PATH, _TOKEN, receiving.SECRET):
        assert secret not in shown.stdout + shown.stderr
        assert secret not in sent.stdout + sent.stderr
        for file in team.state.rglob("*"):
            assert not file.is_file() or secret.encode() not in file.read_bytes()
