# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read definitions of containers: of Docker on its disk, and manifests of static pods."""

from __future__ import annotations

import json
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.persistence.model import (
    Source,
    Startup,
)

_MOUNT = re.compile(rb"^[ \t]*-?[ \t]*path:[ \t]*[\"']?(/[^\s\"']+)", re.MULTILINE)
_IMAGE = re.compile(rb"^[ \t]*-?[ \t]*image:[ \t]*[\"']?([^\s\"']+)", re.MULTILINE)
_MOST = 20


def docker(source: Source) -> Startup:
    """Read config.v2.json or hostconfig.json of a container; environment and labels are left out."""
    try:
        content = json.loads(source.content)
    except (ValueError, RecursionError):
        return Startup(details={"unreadable": "it is not JSON, or longer than what is read"})
    if not isinstance(content, dict):
        return Startup()
    config = _mapping(content.get("Config"))
    binds = [str(bind) for bind in _sequence(content.get("Binds"))]
    mounts = [_mapping(mount).get("Source") for mount in _mapping(content.get("MountPoints")).values()]
    sources = [bind.partition(":")[0] for bind in binds] + [mount for mount in mounts if isinstance(mount, str)]
    command = [content.get("Path"), *_sequence(content.get("Args"))]
    details = {
        "name": _text(content.get("Name")),
        "image": _text(config.get("Image")),
        "user": _text(config.get("User")),
        "restart": _text(_mapping(content.get("RestartPolicy")).get("Name")),
        "network": _text(content.get("NetworkMode")),
        "pid": _text(content.get("PidMode")),
        "privileged": content.get("Privileged") is True,
        "added_capabilities": [_text(name) for name in _sequence(content.get("CapAdd"))][:_MOST],
        "mounts": [_text(each) for each in sources][:_MOST],
        "command": " ".join(_text(word) for word in command if isinstance(word, str))[:500],
    }
    mounted = [each.encode("utf-8", "surrogateescape") for each in sources if each.startswith("/")]
    return Startup((), tuple(mounted[:_MOST]), (), {name: value for name, value in details.items() if value})


def pod(source: Source) -> Startup:
    """Read a manifest of a static pod, as far as lines of YAML show it: images and paths of the host."""
    images = [printable(match) for match in _IMAGE.findall(source.content)]
    return Startup((), tuple(_MOUNT.findall(source.content)[:_MOST]), (), {"images": images[:_MOST]} if images else {})


def _mapping(value: t.Any) -> t.Mapping[str, t.Any]:
    return value if isinstance(value, dict) else {}


def _sequence(value: t.Any) -> t.Sequence[t.Any]:
    return value if isinstance(value, list) else []


def _text(value: t.Any) -> str:
    return printable(value[:500]) if isinstance(value, str) else ""
