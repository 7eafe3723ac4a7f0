# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A client of the package index that pip is configured for, just enough to fetch one wheel.

The simple API as JSON (PEP 691) or HTML (PEP 503), whichever the index speaks.
"""

from __future__ import annotations

import base64
import configparser
import dataclasses
import hashlib
import html.parser
import json
import os
import pathlib
import re
import ssl
import typing as t
import urllib.parse
import urllib.request

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


def configured() -> str | None:
    """Return the URL of the index that the user set for pip, in the environment or in pip.conf, or None."""
    return _setting("index-url")


def _setting(name: str) -> str | None:
    """Return pip's own setting of this name: PIP_NAME first, then the user's file, then the machine's."""
    value = os.environ.get("PIP_" + name.upper().replace("-", "_"))
    if value:
        return value
    for path in _configuration_files():
        parser = configparser.RawConfigParser()
        try:
            parser.read(path, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError):
            continue  # pip itself will say what is wrong with it
        for section in ("install", "global"):
            if parser.has_option(section, name):
                return parser.get(section, name).strip()
    return None


def _configuration_files() -> list[str]:
    """Return the places of pip.conf, the one that wins first (pip's documentation, "Configuration")."""
    named = os.environ.get("PIP_CONFIG_FILE")
    if named == os.devnull:
        return []
    home = os.path.expanduser("~")
    user = os.environ.get("XDG_CONFIG_HOME") or os.path.join(home, ".config")
    machine = (os.environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(os.pathsep)
    files = [
        f"{user}/pip/pip.conf",
        f"{home}/.pip/pip.conf",
        "/etc/pip.conf",
        *(f"{path}/pip/pip.conf" for path in machine),
    ]
    return [named, *files] if named else files


def download_newest(index: str, project: str, python: tuple[int, int], directory: pathlib.Path) -> pathlib.Path:
    """Download the newest released wheel of a pure-Python project that runs on this Python; return its path.

    Raises OSError when the index does not answer and ValueError when it has no such wheel, names no SHA-256
    digest for it, or serves other bytes than that digest says.
    """
    url = f"{index.rstrip('/')}/{project}/"
    usable = [file for file in _files(url) if _usable(file, project, python)]
    if not usable:
        raise ValueError(f"{_shown(index)} has no wheel of {project} for Python {python[0]}.{python[1]}")
    newest = max(usable, key=lambda file: _release(file.name, project) or ())
    content, _type, _address = _get(newest.url)
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


def _files(url: str) -> list[_File]:
    content, content_type, address = _get(url)
    if content_type.endswith("+json"):
        return _from_json(json.loads(content), address)
    page = _Page(address)
    page.feed(content.decode("utf-8"))
    return page.files


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


def _get(url: str) -> tuple[bytes, str, str]:
    """Return content, media type and final address. Proxies are those of the environment."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https"):
        raise ValueError(f"the package index {_shown(url)} is neither http nor https")
    request = urllib.request.Request(_shown(url))  # noqa: S310 - the scheme is checked above
    request.add_header("Accept", _ACCEPT)
    if parts.username:
        login = f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password or '')}"
        request.add_unredirected_header("Authorization", "Basic " + base64.b64encode(login.encode()).decode())
    opener = urllib.request.build_opener(_proxies(), urllib.request.HTTPSHandler(context=_tls()))
    with opener.open(request, timeout=_TIMEOUT) as answer:
        content = answer.read(_LARGEST + 1)
        if len(content) > _LARGEST:
            raise ValueError(f"{_shown(url)} is larger than {_LARGEST} bytes")
        return content, answer.headers.get_content_type(), answer.url


def _proxies() -> urllib.request.ProxyHandler:
    proxy = _setting("proxy")
    return urllib.request.ProxyHandler({"http": proxy, "https": proxy} if proxy else None)


def _tls() -> ssl.SSLContext:
    """Trust what pip would: its own setting, then the variables of other clients (OpenSSL reads SSL_CERT_FILE)."""
    authorities = _setting("cert") or os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
    if authorities and os.path.isdir(authorities):
        return ssl.create_default_context(capath=authorities)
    return ssl.create_default_context(cafile=authorities)


def _shown(url: str) -> str:
    """Return the address without the password that an index URL may carry."""
    parts = urllib.parse.urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
