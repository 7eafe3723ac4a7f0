# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a destination is said before anything is stored, and never with a secret."""

from __future__ import annotations

import os
import subprocess
import sys
import typing as t

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.bulwark.servers.plugins.plugin_utils.export import kinds, secrets, settings
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import ExportError
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.export_model import Destination, ExportFilter

from tests.unit.plugins.plugin_utils.export import kind

ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
GROUPS = {"web": ["web2", "web1"], "db": ["db1"]}
NOW = 1_780_000_000.0


@pytest.fixture(autouse=True)
def _kind(monkeypatch: pytest.MonkeyPatch) -> None:
    kind.register(monkeypatch)


def parse(*entries: dict[str, t.Any]) -> list[settings.Settings]:
    validated = ArgumentSpecValidator({"destinations": settings.arguments()}).validate({"destinations": list(entries)})
    assert validated.error_messages == []
    return settings.parse(validated.validated_parameters["destinations"], GROUPS, NOW)


def test_all_that_is_configured_becomes_a_destination_without_secrets() -> None:
    configured: dict[str, t.Any] = {
        "hosts": ["web*"],
        "groups": ["web", "db"],
        "capabilities": ["audit"],
        "alerts": ["fim_*"],
        "statuses": ["new"],
        "severity": "high",
        "evidence": True,
        "coverage": False,
        "max_changes": 1000,
        "max_age": "30d",
        "when_full": "keep_newest",
        "since": "1d",
    }
    (parsed,) = parse(kind.entry("siem", **configured))
    wanted = ExportFilter(("web*",), ("web", "db"), ("db1", "web1", "web2"), ("audit",), ("fim_*",), ("new",), "high")
    assert parsed.destination == Destination(
        "siem", "webhook", "https://siem.example.com/in", wanted, True, False, 1000, 30 * 86_400.0, "keep_newest"
    )
    assert parsed.since == NOW - 86_400
    assert "s3cr3t" not in repr(parsed.destination)
    assert parsed.redactor("token s3cr3t") == "token ********"


def test_without_options_everything_is_sent_and_nothing_is_limited() -> None:
    (parsed,) = parse(kind.entry("siem"))
    assert parsed.destination == Destination("siem", "webhook", "https://siem.example.com/in")
    assert parsed.since is None


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([kind.entry("a"), kind.entry("a")], "destination 'a' is there twice; give each a name of its own"),
        ([kind.entry("a b")], "destination 'a b': a name has up to 64 letters, digits"),
        ([kind.entry("x" * 65)], f"destination '{'x' * 65}': a name has up to 64"),
        ([kind.entry("-x")], "destination '-x': a name has up to 64"),
        ([kind.entry("a", groups=["wbe"])], "destination 'a': groups: the inventory has no group 'wbe'; correct its"),
        ([kind.entry("a", max_changes=5)], "destination 'a': a limit drops changes, so say which; set when_full"),
        ([kind.entry("a", max_age="30d")], "destination 'a': a limit drops changes, so say which; set when_full"),
        ([kind.entry("a", when_full="keep_oldest")], "destination 'a': when_full needs a limit; set max_changes or"),
        ([kind.entry("a", max_changes=0, when_full="keep_oldest")], "destination 'a': max_changes is 0; write 1 or"),
        ([kind.entry("a", max_age="2 fortnights", when_full="keep_oldest")], "destination 'a': max_age '2 fortnights'"),
        (
            [kind.entry("a", max_age="0d", when_full="keep_oldest")],
            "destination 'a': max_age '0d' is not a span of time",
        ),
        ([kind.entry("a", since="yesterday")], "destination 'a': since: 'yesterday' is not a time: write a date"),
        ([kind.entry("a", since="2099-01-01")], "destination 'a': since: '2099-01-01' is in the future"),
        (
            [{"name": "a", "webhook": {"url": "host", "token": "s3cr3t"}}],
            "destination 'a': webhook: url 'host' is not a URL; write https://HOST (token ********)",
        ),
        (
            [{"name": "a", "webhook": {"url": "https://x", "token": "s3cr3t", "token_file": "/x"}}],
            "destination 'a': webhook: token and token_file are given; keep one of them",
        ),
    ],
)
def test_a_wrong_destination_is_named(entries: list[dict[str, t.Any]], message: str) -> None:
    with pytest.raises(ExportError) as caught:
        parse(*entries)
    assert str(caught.value).startswith(message)
    assert "s3cr3t" not in str(caught.value)


def test_each_destination_has_exactly_one_kind() -> None:
    validator = ArgumentSpecValidator({"destinations": settings.arguments()})
    messages = validator.validate({"destinations": [{"name": "a"}]}).error_messages
    assert messages == ["one of the following is required: webhook found in destinations"]


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        ({"url": "https://alice:pass@example.com:8088/x?key=1#f"}, "https://example.com:8088/x"),
        ({"url": ["a:9092", "b:9092"]}, "a:9092, b:9092"),
        ({"url": "logs.example.com", "port": 6514}, "logs.example.com:6514"),
        ({"url": "https://[broken"}, "webhook"),
    ],
)
def test_the_address_for_people_has_no_password(options: dict[str, t.Any], shown: str) -> None:
    assert settings.address("webhook", kind.ARGUMENTS, options) == shown


def test_of_an_address_that_is_a_secret_only_the_host_is_shown() -> None:
    spec = secrets.arguments("url")
    assert settings.address("webhook", spec, {"url": "https://h.example.com/T/B/x"}) == "https://h.example.com"
    assert settings.address("webhook", spec, {"url": "h.example.com/T/B/x"}) == "webhook"


def test_secrets_are_known_before_anything_is_checked() -> None:
    assert settings.raw_secrets([kind.entry("a"), "odd", {"webhook": "odd"}, {"webhook": {"token": 7}}]) == [
        "s3cr3t",
        "7",
    ]
    assert settings.raw_secrets(None) == settings.raw_secrets({"token": "x"}) == []


def test_the_options_are_known_without_any_library_of_a_kind() -> None:
    code = (
        "import sys; sys.modules.update(dict.fromkeys(('urllib3', 'confluent_kafka', 'azure', 'elasticsearch', "
        "'opensearchpy', 'requests')));"
        f"from {settings.__name__} import arguments; print(len(arguments()['options']))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=ENVIRONMENT)
    assert (answer.stderr, int(answer.stdout or 0) > len(settings.COMMON)) == ("", True)


def test_a_new_kind_needs_a_module_and_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    for name in kinds.arguments():
        module = kinds.load(name)
        assert kinds.KINDS[name] in module.ARGUMENTS
        assert callable(module.check)
        assert callable(module.open_receiver)
