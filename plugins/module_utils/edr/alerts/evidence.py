# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make OCSF evidence from alerts of products; unknown fields are left out."""

from __future__ import annotations

import ipaddress
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _secrets
from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils.edr.alerts import fields

_ALGORITHMS = {32: (1, "MD5"), 40: (2, "SHA-1"), 64: (3, "SHA-256"), 128: (4, "SHA-512")}
# Ancestors of a process; more are no evidence but a loop.
_MOST_PARENTS = 10
# JSON's readers keep whole numbers up to here.
_MOST_NUMBER = 2**53


def without_empty(values: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return the fields that say something."""
    return {key: value for key, value in values.items() if value is not None and value not in ("", [], {})}


def hashes(*values: t.Any) -> list[dict[str, t.Any]]:
    """Return OCSF fingerprints of hexadecimal digests; the length says the algorithm, zeros are none."""
    fingerprints = {}
    for value in values:
        digest = fields.text(value)
        if digest is None or len(digest) not in _ALGORITHMS or set(digest) <= {"0"}:
            continue
        if all(char in "0123456789abcdefABCDEF" for char in digest):
            number, name = _ALGORITHMS[len(digest)]
            fingerprints[digest.lower()] = {"algorithm_id": number, "algorithm": name, "value": digest.lower()}
    return list(fingerprints.values())


def file(path: t.Any, *digests: t.Any, size: t.Any = None) -> dict[str, t.Any] | None:
    """Return an OCSF file, None without a path."""
    shown = fields.text(path)
    if shown is None:
        return None
    shown = printable(shown)
    separator = "/" if "/" in shown else "\\\\" if "\\\\" in shown else "/"
    folder, _separator, name = shown.rpartition(separator)
    return without_empty(
        {
            "name": name or shown,
            "path": shown,
            "parent_folder": folder or None,
            "type_id": 0,
            "hashes": hashes(*digests),
            "size": fields.integer(size),
        }
    )


def user(name: t.Any, uid: t.Any = None) -> dict[str, t.Any] | None:
    """Return an OCSF user, None without name and id."""
    shown = without_empty({"name": _printable(name), "uid": _printable(uid)})
    return shown or None


def process(
    pid: t.Any = None,
    path: t.Any = None,
    cmd_line: t.Any = None,
    uid: t.Any = None,
    account: t.Any = None,
    digests: t.Sequence[t.Any] = (),
    parents: t.Sequence[t.Mapping[str, t.Any] | None] = (),
    directory: t.Any = None,
    name: t.Any = None,
    created: float | None = None,
) -> dict[str, t.Any] | None:
    """Return an OCSF process, None if only its user is known.

    uid: a unique id of the product. parents: processes as this function returns them, the nearest first.
    """
    about = without_empty(
        {
            "pid": fields.integer(pid),
            "uid": _printable(uid),
            "file": file(path, *digests),
            "path": _printable(path),
            "name": _printable(name),
            "cmd_line": _printable(cmd_line),
            "user": user(account) if account is not None else None,
            "working_directory": _printable(directory),
            "created_time": None if created is None else int(created * 1000),
        }
    )
    if not set(about) - {"user"}:
        return None
    if "pid" not in about and "uid" not in about:
        # OCSF wants one of the two; the product says neither.
        about["uid"] = about.get("path") or about.get("name") or about.get("cmd_line")
    known = [dict(parent) for parent in parents[:_MOST_PARENTS] if parent]
    for nearer, farther in zip([about, *known], known):
        nearer["parent_process"] = farther
    return about


def endpoint(address: t.Any = None, port: t.Any = None, name: t.Any = None) -> dict[str, t.Any] | None:
    """Return an OCSF network endpoint, None without an address and a name."""
    shown: dict[str, t.Any] = {}
    given = fields.text(address)
    if given is not None:
        try:
            shown["ip"] = str(ipaddress.ip_address(given))
        except ValueError:
            shown["name"] = printable(given)
    label = _printable(name)
    if label:
        shown["hostname"] = label
    if not shown:
        return None
    number = fields.integer(port)
    if number is not None and 0 < number < 65536:
        shown["port"] = number
    return shown


def container(uid: t.Any = None, name: t.Any = None, image: t.Any = None, tag: t.Any = None) -> dict[str, t.Any] | None:
    """Return an OCSF container, None for the host itself, which Falco calls ``host``."""
    identifier, label = _printable(uid), _printable(name)
    if identifier in (None, "host", "<NA>") and label in (None, "host", "<NA>"):
        return None
    shown = {"uid": identifier, "name": label}
    picture = _printable(image)
    if picture and picture != "<NA>":
        # OCSF wants an id of an image; its name is all that is known.
        shown["image"] = t.cast("t.Any", without_empty({"uid": picture, "name": picture, "tag": _printable(tag)}))
    return without_empty(shown)


def evidence(**objects: t.Any) -> list[dict[str, t.Any]]:
    """Return a list with one OCSF evidence of the objects that are known, or an empty one."""
    known = without_empty(objects)
    return [known] if known else []


def data(values: t.Mapping[str, t.Any], limit: int = 60) -> dict[str, t.Any]:
    """Return fields of the product as they are, as far as they are no structure; texts are made printable."""
    shown: dict[str, t.Any] = {}
    for key, value in list(values.items())[:limit]:
        name = printable(str(key))[:200]
        if isinstance(value, str):
            shown[name] = printable(value[: fields.TEXT_LIMIT])
        elif isinstance(value, (bool, int, float)) and abs(value) < _MOST_NUMBER:
            shown[name] = value
        elif value is not None:
            shown[name] = printable(str(value)[:500])
    return shown


def without_secrets(value: t.Any, name: str = "") -> t.Any:
    """Return evidence with the passwords and keys masked that products copy from command lines and logs.

    name: of the field that has the value. Paths, digests and names stay as they are: they name things.
    """
    if isinstance(value, dict):
        is_copied = name == "data"
        return {key: without_secrets(each, "cmd_line" if is_copied else key) for key, each in value.items()}
    if isinstance(value, list):
        return [without_secrets(each, name) for each in value]
    return _secrets.masked(value) if name == "cmd_line" and isinstance(value, str) else value


def _printable(value: t.Any) -> str | None:
    shown = fields.text(value)
    return None if shown is None or shown == "<NA>" else printable(shown)
