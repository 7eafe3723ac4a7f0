# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets of destinations: where they come from, and that no message has them.

Each secret ``X`` is given in one of three ways: as ``X`` itself, as ``X_file``, the path of a file on the controller
that holds it, or as ``X_environment``, the name of an environment variable of the process that runs the playbook.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import pathlib
import typing as t
import urllib.parse

from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import ExportError, UnusableError

_HIDDEN = "********"
# A private key with its chain has some kilobytes.
_LONGEST_FILE = 64 * 1024
# A shorter part of a secret is like an ordinary word, and no secret alone.
_SHORTEST_WORD = 8


def arguments(name: str) -> dict[str, dict[str, t.Any]]:
    """Return the three options of a secret, for the argument spec of a kind."""
    return {
        name: {"type": "str", "no_log": True},
        # The path and the name of a variable are no secrets, whatever they are called.
        f"{name}_file": {"type": "path", "no_log": False},
        f"{name}_environment": {"type": "str", "no_log": False},
    }


def read(settings: t.Mapping[str, t.Any], name: str, *, required: bool = False) -> str | None:
    """Return a secret, None where it is given in no way; raise ExportError.

    The content of a file counts without the line end at its end.
    """
    ways = [f"{name}{suffix}" for suffix in ("", "_file", "_environment")]
    given = [way for way in ways if settings.get(way) is not None]
    if len(given) > 1:
        raise ExportError(f"{' and '.join(given)} are given; keep one of them")
    if not given:
        if required:
            raise ExportError(f"{name} is missing; give one of {', '.join(ways[:-1])} and {ways[-1]}")
        return None
    (way,) = given
    value = str(settings[way])
    if way.endswith("_file") and way != name:
        value = _of_file(way, value)
    elif way.endswith("_environment") and way != name:
        value = _of_environment(way, value)
    if not value:
        raise ExportError(f"{way} gives no text; write the secret there")
    return value


def _of_file(way: str, path: str) -> str:
    try:
        with pathlib.Path(path).expanduser().open("rb") as file:
            content = file.read(_LONGEST_FILE + 1)
        if len(content) > _LONGEST_FILE:
            raise ExportError(f"{way}: {path} has more than {_LONGEST_FILE} bytes; name a file with the secret alone")
        text = content.decode("utf-8")
    except OSError as error:
        raise UnusableError(f"{way}: {path} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise ExportError(f"{way}: {path} is not UTF-8 text; name a file with the secret alone") from None
    return text.removesuffix("\n").removesuffix("\r")


def _of_environment(way: str, variable: str) -> str:
    value = os.environ.get(variable)
    if value is None:
        raise UnusableError(f"{way}: the environment has no variable {variable}; set it where the playbook is started")
    return value


def names(spec: t.Mapping[str, t.Mapping[str, t.Any]]) -> list[str]:
    """Return the options of a kind that hold secrets, those of ``arguments`` without their other ways."""
    return [name for name, option in spec.items() if option.get("no_log")]


def values(spec: t.Mapping[str, t.Mapping[str, t.Any]], settings: t.Mapping[str, t.Any]) -> list[str]:
    """Return all secrets of a destination: those of options, files and the environment, and passwords in URLs."""
    secrets: list[str] = []
    for name in names(spec):
        if settings.get(name) is not None:
            secrets += _texts(settings[name])
        for way, content in ((f"{name}_file", _of_file), (f"{name}_environment", _of_environment)):
            if way in spec and settings.get(way) is not None:
                try:
                    secrets.append(content(way, str(settings[way])))
                except ExportError:
                    continue  # without a secret there is none to hide; ``read`` says what is wrong
    # A library may name only a part of a URL, as in "url: /services/SECRET".
    secrets += [part for secret in secrets for part in _url_parts(secret)]
    texts = [text for name in settings for text in _texts(settings[name])]
    return [*secrets, *(password for text in texts for password in _passwords(text))]


def _texts(value: t.Any) -> list[str]:
    """Return the texts of an option: of a mapping, such as headers, all values."""
    if isinstance(value, t.Mapping):
        return [text for item in value.values() for text in _texts(item)]
    if isinstance(value, (list, tuple)):
        return [text for item in value for text in _texts(item)]
    return [] if value is None else [str(value)]


def _url_parts(text: str) -> list[str]:
    """Return the path of a URL with its query, and the query alone, if they are long enough to be secret."""
    parts = _split(text)
    if parts is None:
        return []
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    return [part for part in (target, parts.path, parts.query) if len(part) >= _SHORTEST_WORD]


def _passwords(text: str) -> list[str]:
    parts = _split(text)
    password = parts.password if parts is not None else None
    return [password, urllib.parse.unquote(password)] if password else []


def _split(text: str) -> urllib.parse.SplitResult | None:
    if "://" not in text:
        return None
    try:
        return urllib.parse.urlsplit(text)
    except ValueError:
        return None


class Redactor:
    """Replaces secrets in messages, also as they look in a URL, in JSON and in base64."""

    def __init__(self, secrets: t.Iterable[str]) -> None:
        forms: set[str] = set()
        for secret in secrets:
            # Lines of a key, and the token after "Bearer".
            words = [word for word in secret.split() if len(word) >= _SHORTEST_WORD]
            for text in {secret, secret.strip(), *words}:
                forms.update(_forms(text))
        self._forms = sorted(filter(None, forms), key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """Return a text without the secrets."""
        for form in self._forms:
            text = text.replace(form, _HIDDEN)
        return text


def _forms(secret: str) -> set[str]:
    encoded = secret.encode("utf-8", "surrogateescape")
    # The neighbours of a secret in base64 change its first and last characters.
    inner = [base64.b64encode(b"\0" * shift + encoded).decode("ascii").rstrip("=")[2 * shift :] for shift in range(3)]
    coded = {text[:-1] for text in inner if len(text) > _SHORTEST_WORD}
    quoted = {urllib.parse.quote(encoded, safe=""), urllib.parse.quote_plus(encoded)}
    return {secret, json.dumps(secret)[1:-1], repr(secret)[1:-1], *quoted, *coded, _hexadecimal(encoded)}


def _hexadecimal(encoded: bytes) -> str:
    return binascii.hexlify(encoded).decode("ascii") if len(encoded) >= _SHORTEST_WORD else ""
