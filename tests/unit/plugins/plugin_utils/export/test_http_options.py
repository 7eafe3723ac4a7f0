# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of HTTP: what is wrong with them is said before anything is sent, and without secrets."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.export import http_options
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import ExportError

from tests.support.receivers.certificates import Authority

_DEFAULTS = {name: option.get("default") for name, option in http_options.ARGUMENTS.items()}
_RECEIVER = http_options.url("https://splunk.example:8088", "url")


def _parse(**options: t.Any) -> http_options.HttpSettings:
    return http_options.parse({**_DEFAULTS, **options}, _RECEIVER)


@pytest.mark.parametrize(
    ("text", "origin", "target"),
    [
        ("https://splunk.example:8088", "https://splunk.example:8088", "/"),
        ("https://splunk.example:443/a/b?c=d", "https://splunk.example", "/a/b?c=d"),
        ("HTTPS://Splunk.Example/", "https://splunk.example", "/"),
        ("https://[2001:db8::1]:8088/x", "https://[2001:db8::1]:8088", "/x"),
        ("http://localhost", "http://localhost", "/"),
        ("https://a.example?x", "https://a.example", "/?x"),
    ],
)
def test_urls(text: str, origin: str, target: str) -> None:
    url = http_options.url(text, "url")

    assert (url.origin, url.target) == (origin, target)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("splunk.example", "is not a URL of HTTP"),
        ("ftp://splunk.example", "is not a URL of HTTP"),
        ("https://", "is not a URL of HTTP"),
        ("https://a:99999", "is not a URL;"),
        ("https://[a", "is not a URL;"),
        ("https://a.example/ b", "percent-encoded"),
        ("https://a.example/ü", "percent-encoded"),
        ("https://a.example/\r\nx", "is not a URL|percent-encoded"),
        ("https://user:hidden@a.example", "has a user or a password in it"),
        ("https://a.example/#x", "has a fragment"),
    ],
)
def test_what_is_no_url(text: str, problem: str) -> None:
    with pytest.raises(ExportError, match=problem) as caught:
        http_options.url(text, "url")
    assert "hidden" not in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(ExportError, match=problem) as caught:
        http_options.url(text, "url", is_secret=True)
    assert "example" not in str(caught.value)


def test_the_defaults_verify_and_need_1_2() -> None:
    settings = _parse()

    assert settings.verify
    assert settings.context.check_hostname
    assert settings.context.verify_mode.name == "CERT_REQUIRED"
    assert settings.context.minimum_version.name == "TLSv1_2"


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (
            {"ca_file": "/nowhere/ca.pem"},
            "ca_file: /nowhere/ca.pem cannot be read as certificates in PEM: No such file",
        ),
        ({"ca_file": "{empty}"}, "ca_file: .* cannot be read as certificates in PEM: no certificate or crl found"),
        ({"ca_file": "{ca}", "verify": False}, "ca_file is of no use without verification"),
        ({"certificate": "/nowhere/c.pem"}, "certificate: /nowhere/c.pem cannot be used: No such file"),
        ({"certificate": "{certificate}"}, "cannot be used: .*; name a certificate and its key in PEM"),
        ({"certificate": "{certificate}", "key": "{other}"}, "cannot be used: key values mismatch"),
        ({"certificate": "{locked}", "key": "{locked_key}"}, "cannot be used: .* key_password if the key is encrypted"),
        (
            {"certificate": "{locked}", "key": "{locked_key}", "key_password": "hidden"},
            "cannot be used: .* key_password if the key is encrypted",
        ),
        ({"key": "{other}"}, "key and key_password need a certificate"),
        ({"proxy": "proxy.example:3128"}, "proxy 'proxy.example:3128' is not a URL"),
        ({"proxy": "http://u:hidden@proxy.example"}, "proxy has a user or a password in it"),
        ({"proxy_user": "u", "proxy_password": "hidden"}, "proxy_user has no proxy"),
        ({"proxy": "http://proxy.example", "proxy_user": "u"}, "proxy_user and proxy_password belong together"),
        ({"proxy": "http://p.example", "proxy_user": "u:v", "proxy_password": "hidden"}, "proxy_user has a colon"),
        ({"connect_timeout": 0}, "connect_timeout is 0; write seconds above 0 and up to 600"),
        ({"read_timeout": -1}, "read_timeout is -1"),
        ({"request_timeout": float("nan")}, "request_timeout is nan"),
        ({"request_timeout": float("inf")}, "request_timeout is inf"),
    ],
)
def test_what_is_wrong(options: dict[str, t.Any], problem: str, tmp_path: pathlib.Path) -> None:
    authority = Authority(tmp_path)
    mine, other, locked = authority.issue("a"), authority.issue("b"), authority.issue("c", password="of the key")
    (tmp_path / "empty").write_text("no certificate\n")
    files = {
        "ca": authority.file,
        "certificate": mine.certificate,
        "other": other.key,
        "locked": locked.certificate,
        "locked_key": locked.key,
        "empty": tmp_path / "empty",
    }
    given = {name: value.format(**files) if isinstance(value, str) else value for name, value in options.items()}

    with pytest.raises(ExportError, match=problem) as caught:
        _parse(**given)

    assert "hidden" not in str(caught.value)
