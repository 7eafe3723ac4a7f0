# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets are read from where they are, and no form of them stays in a message."""

from __future__ import annotations

import base64
import json
import pathlib
import typing as t
import urllib.parse

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.bulwark.servers.plugins.plugin_utils.export import secrets
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import ExportError
from hypothesis import given
from hypothesis import strategies as st

SPEC = {**secrets.arguments("token"), "headers": {"type": "dict", "no_log": True}, "url": {"type": "str"}}


@pytest.fixture
def file(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "token"
    path.write_bytes("s3cr3t-ü \n".encode())
    return path


def test_a_secret_comes_from_a_variable_a_file_or_the_environment(
    file: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIEM_TOKEN", "from-environment")
    assert secrets.read({"token": "given"}, "token") == "given"
    assert secrets.read({"token_file": str(file)}, "token") == "s3cr3t-ü "
    assert secrets.read({"token_environment": "SIEM_TOKEN"}, "token") == "from-environment"
    assert secrets.read({"token": None, "token_file": None}, "token") is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "token is missing; give one of token, token_file and token_environment"),
        ({"token": "s3cr3t", "token_file": "/x"}, "token and token_file are given; keep one of them"),
        ({"token": ""}, "token gives no text; write the secret there"),
        ({"token_file": "/nowhere/token"}, "token_file: /nowhere/token cannot be read: No such file or directory"),
        ({"token_environment": "NO_SUCH_VARIABLE"}, "token_environment: the environment has no variable NO_SUCH_VAR"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(settings: dict[str, t.Any], message: str) -> None:
    with pytest.raises(ExportError) as caught:
        secrets.read(settings, "token", required=True)
    assert str(caught.value).startswith(message)
    assert "s3cr3t" not in str(caught.value)


def test_a_file_with_something_else_is_refused(tmp_path: pathlib.Path) -> None:
    for content, words in (
        (b"\xff\xfe", "not UTF-8 text"),
        (b"x" * 70_000, "more than 65536 bytes"),
        (b"\n", "no tex"),
    ):
        (tmp_path / "file").write_bytes(content)
        with pytest.raises(ExportError, match=words):
            secrets.read({"token_file": str(tmp_path / "file")}, "token")


def test_the_options_keep_the_secret_out_of_logs_and_show_where_it_is() -> None:
    validated = ArgumentSpecValidator(secrets.arguments("token")).validate({"token": "s3cr3t", "token_file": "/x"})
    assert validated._no_log_values == {"s3cr3t"}
    assert secrets.names(SPEC) == ["token", "headers"]


def test_all_secrets_of_a_destination_are_known(file: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIEM_TOKEN", "from-environment")
    settings = {
        "token_environment": "SIEM_TOKEN",
        "headers": {"Authorization": "Bearer abc", "X": ["one"]},
        "url": "https://alice:p%40ss@example.com/x",
    }
    assert secrets.values(SPEC, settings) == ["from-environment", "Bearer abc", "one", "p%40ss", "p@ss"]
    assert secrets.values(SPEC, {"token_file": str(file)}) == ["s3cr3t-ü "]
    assert secrets.values(SPEC, {"token_file": "/nowhere"}) == []
    url = secrets.values(SPEC, {"token": "https://hooks.example.com/services/T0/B1/xyz?key=abcdefgh"})
    assert {"/services/T0/B1/xyz", "key=abcdefgh"} < set(url)


def test_a_key_of_many_lines_is_hidden_line_by_line() -> None:
    redact = secrets.Redactor(["-----BEGIN KEY-----\nMIIEvQIBADANBg\nabc\n-----END KEY-----\n"])
    assert redact("line 2: MIIEvQIBADANBg, abc") == "line 2: ********, abc"


@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=4, max_size=30).filter(
        lambda text: len(text.strip()) > 3
    ),
    st.integers(0, 5),
)
def test_no_form_of_a_secret_stays(secret: str, shift: int) -> None:
    redact = secrets.Redactor([secret])
    for shown in (
        secret,
        json.dumps({"t": secret}),
        repr(secret),
        f"/x?t={urllib.parse.quote(secret, safe='')}&y",
        urllib.parse.urlencode({"t": secret}),
    ):
        assert secret.strip() not in redact(f"before {shown} after")
    user = "u" * shift
    basic = base64.b64encode(f"{user}:{secret}".encode()).decode()
    decoded = redact(f"Authorization: Basic {basic}").removeprefix("Authorization: Basic ")
    if len(secret.encode()) > 8:
        assert "********" in decoded


def test_a_token_is_hidden_without_its_scheme() -> None:
    assert secrets.Redactor(["Bearer abcdefgh1"])("token abcdefgh1") == "token ********"


def test_a_message_without_secrets_stays_as_it_is() -> None:
    assert secrets.Redactor(["s3cr3t", ""])("connection refused") == "connection refused"
    assert secrets.Redactor([])("connection refused") == "connection refused"
