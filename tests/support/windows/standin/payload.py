# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The payload that ansible-core sends for one task: the module, its C# utilities and its arguments.

ansible-core 2.18 sends its exec wrapper, four NUL and a JSON document. From 2.19 on there are two JSON documents with a
line of four NUL between them; since 2.22 the second one is compressed, and has the arguments as a JSON text.
"""

from __future__ import annotations

import base64
import dataclasses
import gzip
import json
import typing as t

_MODULE_WRAPPER = "module_wrapper.ps1"
_OLD_MODULE_WRAPPER = "module_powershell_wrapper"


class UnknownPayloadError(Exception):
    """The payload has another form, or asks for something beside running a module; the message says what."""


@dataclasses.dataclass(frozen=True)
class Payload:
    """What runs. module: its PowerShell text. utilities: their texts by name. environment: more variables of it."""

    module: str
    utilities: t.Mapping[str, str]
    arguments: t.Mapping[str, t.Any]
    environment: t.Mapping[str, str]


def read(content: bytes) -> Payload:
    """Return what a controller sent; raise UnknownPayloadError."""
    try:
        if content.lstrip().startswith(b"{"):
            return _read_current(content)
        return _read_old(content)
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise UnknownPayloadError(f"the payload of Ansible has an unknown form: {error!r}") from error


def _read_current(content: bytes) -> Payload:
    head_text, body = content.split(b"\n\0\0\0\0\n", 1)
    head = json.loads(head_text)
    if head["params"].get("DecompressInput"):
        body = gzip.decompress(base64.b64decode(body))
    manifest = json.loads(body)
    _only(_MODULE_WRAPPER, [action["name"] for action in manifest["actions"]])
    wrapper = manifest["actions"][0]["params"]
    scripts = {
        name: base64.b64decode(script["script"]).decode("utf-8-sig") for name, script in manifest["scripts"].items()
    }
    utilities = {name: scripts[name] for name in wrapper.get("CSharpModules") or []}
    return Payload(scripts[wrapper["Script"]], utilities, _arguments(wrapper), wrapper.get("Environment") or {})


def _arguments(wrapper: t.Mapping[str, t.Any]) -> t.Mapping[str, t.Any]:
    text = wrapper.get("ArgumentJSON")
    if text is not None:
        arguments: dict[str, t.Any] = json.loads(text)
        return arguments
    (value,) = [variable["Value"] for variable in wrapper["Variables"] if variable["Name"] == "complex_args"]
    return t.cast("t.Mapping[str, t.Any]", value)


def _read_old(content: bytes) -> Payload:
    _wrapper, manifest_text = content.split(b"\0\0\0\0", 1)
    manifest = json.loads(manifest_text)
    _only(_OLD_MODULE_WRAPPER, manifest["actions"])
    utilities = {
        f"{name}.cs": base64.b64decode(manifest["csharp_utils"][name]).decode("utf-8-sig")
        for name in manifest["csharp_utils_module"]
    }
    module = base64.b64decode(manifest["module_entry"]).decode("utf-8-sig")
    return Payload(module, utilities, manifest["module_args"], manifest["environment"])


def _only(wrapper: str, actions: t.Sequence[str]) -> None:
    if actions != [wrapper]:
        raise UnknownPayloadError(f"the stand-in for PowerShell runs plain modules only, not {', '.join(actions)}")
