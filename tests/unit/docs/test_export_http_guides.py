# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guides of webhooks and Splunk: their examples work, and their tables say what the code does.

The limits of Slack, Teams and PagerDuty are those of their documentation: docs.slack.dev (Block Kit reference),
learn.microsoft.com (28 KB; adaptivecards.io for the elements) and developer.pagerduty.com (Events API v2).
"""

from __future__ import annotations

import json
import pathlib
import re
import typing as t

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.bulwark.servers.plugins.plugin_utils.export import (
    hec_replies,
    kinds,
    settings,
    template,
    webhook_replies,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.http import Response

from tests.support import paths
from tests.unit.plugins.plugin_utils.export.export_events import event

_GUIDES = paths.ROOT / "docs" / "docsite" / "rst"
_EXAMPLE = re.compile(r"\.\. code-block:: yaml\n   :caption: (?P<name>.+)\n\n(?P<text>(?:   .*\n|\n)+)")
_SECRETS = {
    "slack.url": "https://hooks.slack.com/services/T0/B0/x",
    "teams.url": "https://prod-1.westeurope.logic.azure.com/workflows/x/triggers/manual/paths/invoke?sig=y",
    "pagerduty.key": "0123456789abcdef0123456789abcdef",
    "alarm-room.secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "splunk.token": "11111111-2222-4333-8444-555555555555",
}
# Texts of a host, some of which would mention everybody, or become a link.
_TEXTS = (
    "plain",
    "<!channel> & <https://x.example|free>",
    '"}, {"x": "',
    "&" * 5_000,
    "ü" * 9_000,
    "\u202e\n\x00{token}",
)


def _text(guide: str) -> str:
    return (_GUIDES / f"export_{guide}.rst").read_text(encoding="utf-8")


def _examples() -> list[t.Any]:
    return [
        pytest.param(guide, match["text"], id=f"{guide} {match['name']}")
        for guide in ("webhook", "splunk")
        for match in _EXAMPLE.finditer(_text(guide))
    ]


@pytest.fixture
def home(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """A home directory with the secrets that the guides put there."""
    (tmp_path / ".bulwark").mkdir()
    for name, text in _SECRETS.items():
        (tmp_path / ".bulwark" / name).write_text(text + "\n")
    for name in ("COLLECTOR_TOKEN", "SPLUNK_TOKEN"):
        monkeypatch.setenv(name, _SECRETS["splunk.token"])
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def _parsed(text: str) -> settings.Settings:
    """Return the one destination of an example, checked as the export checks it."""
    configured = yaml.safe_load(text)["bulwark_export"]
    for each in configured:
        # The authority of a company is on no machine of tests.
        each.get("splunk", {}).pop("ca_file", None)
    result = ArgumentSpecValidator({"destinations": settings.arguments()}).validate({"destinations": configured})
    assert not result.error_messages
    (parsed,) = settings.parse(result.validated_parameters["destinations"], {}, 1_796_000_000.0)
    return parsed


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(("guide", "text"), _examples())
def test_each_example_can_be_used(guide: str, text: str) -> None:
    parsed = _parsed(text)

    assert parsed.destination.kind == guide
    receiver = kinds.load(guide).open_receiver(parsed.options, parsed.name)
    receiver.prepare(event(1), "key")
    receiver.close()


def _bodies(name: str) -> t.Iterator[dict[str, t.Any]]:
    """Return what an example sends of findings with hostile texts, of each status and severity."""
    match = next(match for match in _EXAMPLE.finditer(_text("webhook")) if match["name"] == name)
    parsed = _parsed(match["text"])
    receiver = kinds.load("webhook").open_receiver(parsed.options, parsed.name)
    for number, text in enumerate(_TEXTS):
        of = event(number, message=text, remediation={"desc": text} if number else {})
        of["unmapped"] |= {"subject": text, "status": ("new", "open", "suppressed", "resolved")[number % 4]}
        of["severity"] = ("Critical", "High", "Medium", "Low", "Informational")[number % 5]
        prepared = receiver.prepare(of, "key")
        body = receiver._message.body([prepared])  # type: ignore[attr-defined]  # only this kind's receiver has it
        assert len(body) <= parsed.options["max_body"]
        yield json.loads(body)
    receiver.close()


@pytest.mark.usefixtures("home")
def test_slack_takes_the_example() -> None:
    for body in _bodies("Slack"):
        assert body.keys() == {"text", "blocks"}
        assert len(body["text"]) <= 4_000
        header, section, context = body["blocks"]
        assert len(header["text"]["text"]) <= 150
        assert header["text"]["type"] == "plain_text"
        assert 0 < len(section["text"]["text"]) <= 3_000
        assert 0 < len(context["elements"]) <= 10
        shown = json.dumps(body)
        # Everything between angle brackets is a command to Slack.
        assert "<" not in shown
        assert ">" not in shown
        assert re.fullmatch(r"(?:[^&]|&(?:amp|lt|gt);)*", shown)


@pytest.mark.usefixtures("home")
def test_teams_takes_the_example() -> None:
    for body in _bodies("Microsoft Teams"):
        assert body["type"] == "message"
        (attachment,) = body["attachments"]
        assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
        card = attachment["content"]
        assert (card["type"], card["version"]) == ("AdaptiveCard", "1.4")
        for block in card["body"]:
            assert block["type"] == "RichTextBlock"
            assert all(run["type"] == "TextRun" and run["text"] for run in block["inlines"])
        assert len(json.dumps(body, ensure_ascii=False).encode()) <= 28_000


@pytest.mark.usefixtures("home")
def test_pagerduty_takes_the_example() -> None:
    actions = set()
    for body in _bodies("PagerDuty"):
        assert re.fullmatch("[0-9a-f]{32}", body["routing_key"])
        actions.add(body["event_action"])
        assert 0 < len(body["dedup_key"]) <= 255
        payload = body["payload"]
        assert payload.keys() <= {
            *("summary", "source", "severity", "timestamp", "component", "class", "group", "custom_details")
        }
        assert 0 < len(payload["summary"]) <= 1_024
        assert payload["source"]
        assert payload["severity"] in ("critical", "error", "warning", "info")
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", payload["timestamp"])
        assert len(json.dumps(body).encode()) <= 512_000
    assert actions == {"trigger", "acknowledge", "resolve"}


def test_the_fields_of_templates_are_those_of_the_guide() -> None:
    table = _text("webhook").partition("   * - field\n")[2].partition("\n\n``{title:150}``")[0]

    named = {name for row in re.findall(r"   \* - (.*)\n", table) for name in re.findall(r"``\{([a-z_]+)\}``", row)}

    assert named == set(template.FIELDS)


def _listed(row: str) -> set[int]:
    """Return the numbers of a table's row, also of ``5xx``."""
    numbers = {int(number) for number in re.findall(r"\b\d+\b", re.sub(r"\(.*?\)", "", row))}
    return numbers | {status for first in re.findall(r"\b(\d)xx\b", row) for status in range(int(first) * 100, 600)}


def test_the_replies_of_webhooks_are_those_of_the_guide() -> None:
    rows = re.findall(r"   \* - (.*)\n     - (.*)", _text("webhook").partition("   * - reply\n")[2])
    refused, others, waiting = _listed(rows[1][0]), _listed(rows[2][0].split(",")[0]), _listed(rows[3][0])

    def effect(status: int) -> str:
        return webhook_replies.judge(Response(status, {}, (), b""), webhook_replies.Success())[0]

    for status in range(200, 300):
        assert effect(status) == "accepted"
    for status in range(400, 600):
        expected = "refused" if status in refused else "unavailable" if status in waiting else "blocked"
        assert effect(status).replace("too_large", "refused") == expected, status
    assert effect(next(iter(others))) == "blocked"


def test_the_codes_of_splunk_are_those_of_the_guide() -> None:
    rows = re.findall(r"   \* - (.*)\n     - ", _text("splunk").partition("   * - code\n")[2])
    taken, of_events, _halves, mended, others = rows[:5]

    by_effect: dict[str, set[int]] = {"success": set(), "event": set(), "unavailable": set()}
    for code, known in hec_replies.CODES.items():
        by_effect[known.effect].add(code)

    assert _listed(taken) == by_effect["success"]
    assert _listed(of_events) == by_effect["event"]
    # 5 and 17 come of no request that the export sends.
    assert _listed(mended) | _listed(others) | {5, 17} == by_effect["unavailable"]
    assert {code for code, known in hec_replies.CODES.items() if known.advice} - {17} == _listed(mended)
