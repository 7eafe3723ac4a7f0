# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The client of the package index, against a real server on the loopback interface."""

from __future__ import annotations

import base64
import hashlib
import http.server
import json
import pathlib
import sys
import threading
import typing as t

import pytest

from tests.support import paths

sys.path.insert(0, str(paths.ROOT / "tools"))

import package_index
import pip_settings

_WHEELS = {
    "pip-9.0.1-py3-none-any.whl": b"nine",
    "pip-24.10-py3-none-any.whl": b"twenty-four ten",
    "pip-24.9-py3-none-any.whl": b"twenty-four nine",
    "pip-25.0-py3-none-any.whl": b"withdrawn",
    "pip-26.0-py3-none-any.whl": b"for a Python to come",
    "pip-27.0b1-py3-none-any.whl": b"a pre-release",
    "pip-28.0.tar.gz": b"a source archive",
}
_REQUIRES = dict.fromkeys(_WHEELS, ">=3.8") | {"pip-26.0-py3-none-any.whl": ">=3.99"}
_YANKED = {"pip-25.0-py3-none-any.whl"}


class _Index(http.server.ThreadingHTTPServer):
    """A package index with one project; what it got to see is in ``seen``."""

    speaks_json = True
    serves: t.Mapping[str, bytes] = _WHEELS
    login = ""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}/simple"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Index

    def do_GET(self) -> None:
        expected = "Basic " + base64.b64encode(self.server.login.encode()).decode()
        if self.server.login and self.headers["Authorization"] != expected:
            self.send_error(401)
        elif self.path == "/simple/pip/":
            self._answer(*(_json() if self.server.speaks_json else _html()))
        else:
            name = self.path.rsplit("/", 1)[-1]
            self._answer("application/octet-stream", self.server.serves[name])

    def _answer(self, content_type: str, content: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_arguments: t.Any) -> None:
        """Stay silent."""


def _json() -> tuple[str, bytes]:
    files = [
        {
            "filename": name,
            "url": f"../../files/{name}",
            "hashes": {"sha256": hashlib.sha256(content).hexdigest()},
            "requires-python": _REQUIRES[name],
            "yanked": name in _YANKED,
        }
        for name, content in _WHEELS.items()
    ]
    return "application/vnd.pypi.simple.v1+json", json.dumps({"files": files}).encode()


def _html() -> tuple[str, bytes]:
    lines = []
    for name, content in _WHEELS.items():
        attributes = f' data-requires-python="{_REQUIRES[name].replace(">", "&gt;")}"'
        attributes += ' data-yanked=""' if name in _YANKED else ""
        digest = hashlib.sha256(content).hexdigest()
        lines.append(f'<a href="../../files/{name}#sha256={digest}"{attributes}>{name}</a>')
    return "text/html; charset=utf-8", "<br>".join(lines).encode()


@pytest.fixture
def index() -> t.Iterator[_Index]:
    with _Index() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("speaks_json", [True, False])
def test_the_newest_wheel_that_fits_is_fetched(index: _Index, speaks_json: bool, tmp_path: pathlib.Path) -> None:
    index.speaks_json = speaks_json
    wheel = package_index.download_newest(index.url, "pip", (3, 13), tmp_path)
    assert wheel.name == "pip-24.10-py3-none-any.whl"
    assert wheel.read_bytes() == b"twenty-four ten"


def test_other_bytes_than_the_index_names_are_refused(index: _Index, tmp_path: pathlib.Path) -> None:
    index.serves = {**_WHEELS, "pip-24.10-py3-none-any.whl": b"something else"}
    with pytest.raises(ValueError, match=r"pip-24\.10.* does not have the SHA-256 digest"):
        package_index.download_newest(index.url, "pip", (3, 13), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_login_in_the_url_is_used_and_never_shown(index: _Index, tmp_path: pathlib.Path) -> None:
    index.login = "someone:p@ss"
    url = index.url.replace("://", "://someone:p%40ss@")
    assert package_index.download_newest(url, "pip", (3, 13), tmp_path).exists()
    with pytest.raises(ValueError, match=r"has no wheel of pip for Python 2\.7") as caught:
        package_index.download_newest(url, "pip", (2, 7), tmp_path)
    assert "p%40ss" not in str(caught.value)


def test_the_setting_is_found_where_pip_finds_it(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    for variable in ("PIP_INDEX_URL", "PIP_CONFIG_FILE", "XDG_CONFIG_DIRS"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "machine"))
    for place, url in (("machine", "http://machine.invalid"), ("config", "http://user.invalid")):
        (tmp_path / place / "pip").mkdir(parents=True)
        (tmp_path / place / "pip" / "pip.conf").write_text(f"[global]\nindex-url = {url}\n", encoding="utf-8")
    assert pip_settings.index() == "http://user.invalid"
    (tmp_path / "config" / "pip" / "pip.conf").unlink()
    assert pip_settings.index() == "http://machine.invalid"
    monkeypatch.setenv("PIP_INDEX_URL", "http://environment.invalid")
    assert pip_settings.index() == "http://environment.invalid"


def test_a_file_is_no_package_index(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ValueError, match="neither http nor https"):
        package_index.download_newest(f"file://{tmp_path}", "pip", (3, 13), tmp_path)
