# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A client of the package index that pip is configured for, just enough to fetch one wheel.

The simple API as JSON (PEP 691) or HTML (PEP 503), whichever the index speaks.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import html.parser
import json
import pathlib
import re
import typing as t
import urllib.parse
import urllib.request

import pip_settings

_ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
_TIMEOUT = 60  # seconds
_LARGEST = 32 * 1024 * 1024  # bytes; the list of all pip releases and the pip wheel are both far smaller


@dataclasses.dataclass(frozen=True)
class _File:
    name: str
    url: str
    sha256: str
    requires_python: str
    yanked: bool


def download_newest(index: str, project: str, python: tuple[int, int], directory: pathlib.Path) -> pathlib.Path:
    """Download the newest released wheel of a pure-Python project that runs on this Python; return its path.

    Raises OSError when the index does not answer and ValueError when it has no such wheel, names no SHA-256
    digest for it, or serves other bytes than that digest says.
    """
    client = _Client(index)
    usable = [file for file in client.files(project) if _usable(file, project, python)]
    if not usable:
        raise ValueError(f"{_shown(index)} has no wheel of {project} for Python {python[0]}.{python[1]}")
    newest = max(usable, key=lambda file: _release(file.name, project) or ())
    content = client.get(newest.url).content
    if hashlib.sha256(content).hexdigest() != newest.sha256:
        raise ValueError(f"{newest.name} from {_shown(index)} does not have the SHA-256 digest that the index names")
    path = directory / newest.name
    path.write_bytes(content)
    return path


def _usable(file: _File, project: str, python: tuple[int, int]) -> bool:
    oldest = re.search(r">=\s*(\d+)\.(\d+)", file.requires_python)
    if oldest and tuple(map(int, oldest.groups())) > python:
        return False
    return bool(file.sha256) and not file.yanked and _release(file.name, project) is not None


def _release(name: str, project: str) -> tuple[int, ...] | None:
    """Return the version in a wheel's name, or None for other files and for pre-releases."""
    found = re.fullmatch(rf"{re.escape(project)}-(\d+(?:\.\d+)*)-py3-none-any\.whl", name)
    return tuple(map(int, found[1].split("."))) if found else None


def _from_json(answer: dict[str, t.Any], address: str) -> list[_File]:
    return [
        _File(
            name=entry["filename"],
            url=urllib.parse.urljoin(address, entry["url"]),
            sha256=entry.get("hashes", {}).get("sha256", ""),
            requires_python=entry.get("requires-python") or "",
            yanked=bool(entry.get("yanked")),
        )
        for entry in answer["files"]
    ]


class _Page(html.parser.HTMLParser):
    """The files that a PEP 503 page links to."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self.files: list[_File] = []
        self._address = address

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        link = attributes.get("href")
        if tag != "a" or not link:
            return
        url, fragment = urllib.parse.urldefrag(urllib.parse.urljoin(self._address, link))
        self.files.append(
            _File(
                name=urllib.parse.unquote(url.rsplit("/", 1)[-1]),
                url=url,
                sha256=fragment.removeprefix("sha256=") if fragment.startswith("sha256=") else "",
                requires_python=attributes.get("data-requires-python") or "",
                yanked="data-yanked" in attributes,
            )
        )


@dataclasses.dataclass(frozen=True)
class _Answer:
    content: bytes
    media_type: str
    address: str  # after redirections


class _Client:
    """Talks to one index, with the login that its URL may carry, through the proxies of the environment."""

    def __init__(self, index: str) -> None:
        parts = urllib.parse.urlsplit(index)
        self._address = _shown(index).rstrip("/")
        self._host = _host(self._address)
        self._login = ""
        if parts.username:
            login = f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password or '')}"
            self._login = "Basic " + base64.b64encode(login.encode()).decode()
        self._opener = urllib.request.build_opener(pip_settings.proxies(), pip_settings.tls())

    def files(self, project: str) -> list[_File]:
        answer = self.get(f"{self._address}/{project}/")
        if answer.media_type.endswith("+json"):
            return _from_json(json.loads(answer.content), answer.address)
        page = _Page(answer.address)
        page.feed(answer.content.decode("utf-8"))
        return page.files

    def get(self, url: str) -> _Answer:
        if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
            raise ValueError(f"the package index {_shown(url)} is neither http nor https")
        request = urllib.request.Request(_shown(url))  # noqa: S310 - the scheme is checked above
        request.add_header("Accept", _ACCEPT)
        if self._login and _host(url) == self._host:  # files often lie elsewhere, where the login is nobody's business
            request.add_unredirected_header("Authorization", self._login)
        with self._opener.open(request, timeout=_TIMEOUT) as answer:
            content = answer.read(_LARGEST + 1)
            if len(content) > _LARGEST:
                raise ValueError(f"{_shown(url)} is larger than {_LARGEST} bytes")
            return _Answer(content, answer.headers.get_content_type(), answer.url)


def _host(url: str) -> tuple[str, str]:
    """Return what a login is good for: scheme, host and port."""
    parts = urllib.parse.urlsplit(url)
    return parts.scheme, parts.netloc.rpartition("@")[2]


def _shown(url: str) -> str:
    """Return the address without the password that an index URL may carry."""
    parts = urllib.parse.urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
