# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the README of each role from its argument specs.

    python3 tools/role_readmes.py COLLECTION

COLLECTION is the checkout or a copy of it. Galaxy shows the README of a role and refuses a collection in which a role
has none. The files are in Git, because the artefact is built from it; a quality test fails if one is out of date.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import re
import sys
import textwrap
import typing as t

import yaml

_GUIDES = "https://github.com/bulwark-servers/bulwark.servers/blob/main/docs/docsite/rst"
_WIDTH = 120
# Playbooks by the entries of `playbooks` in capability.yml that are not playbooks themselves.
_PLAYBOOKS = {"remove_locks": "remove", "remove_rules": "remove"}
# Ansible's markup: option, value, environment variable, return value; and code, module, plugin, which have no escapes.
_CODE = re.compile(r"\b(?:(?:O|V|E|RV)\((?P<escaped>(?:[^()\\]|\\.)*)\)|(?:C|M|P)\((?P<plain>[^()]*)\))")
_LINK = re.compile(r"\bL\(([^,()]*),\s*([^()]*)\)")
_URL = re.compile(r"\bU\(([^()]*)\)")

_HEAD = """\
<!--
SPDX-License-Identifier: GPL-3.0-or-later
SPDX-FileCopyrightText: bulwark.servers contributors
Made by tools/role_readmes.py from meta/argument_specs.yml.
-->
"""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="role_readmes.py", description="Write the README of each role.")
    parser.add_argument("collection", type=pathlib.Path, help="the checkout or a copy of it")
    collection = parser.parse_args(arguments).collection.absolute()
    for role in roles(collection):
        (collection / "roles" / role / "README.md").write_text(readme(collection, role), encoding="utf-8")
    return 0


def roles(collection: pathlib.Path) -> list[str]:
    """Return the names of the roles that have argument specs, in order."""
    return sorted(path.parents[1].name for path in collection.glob("roles/*/meta/argument_specs.yml"))


def readme(collection: pathlib.Path, role: str) -> str:
    """Return the README of a role in Markdown."""
    spec = _load(collection / "roles" / role / "meta" / "argument_specs.yml")["argument_specs"]["main"]
    capability = _load(collection / "plugins" / "plugin_utils" / "content" / role / "capability.yml")
    parts = [
        _HEAD,
        f"# Role bulwark.servers.{role}\n",
        _wrapped(markdown(spec["short_description"]) + "."),
        *(_wrapped(markdown(paragraph)) for paragraph in _paragraphs(spec)),
        "## Example\n",
        _example(role, capability),
        _wrapped(_playbooks(capability)),
        f"Guide: [{capability['title']}]({_GUIDES}/{role}.rst)\n",
        "## Variables\n",
        "\n".join(["| variable | type | default | meaning |", "|---|---|---|---|", *_rows(spec["options"])]) + "\n",
        "## License\n",
        "GPL-3.0-or-later\n",
    ]
    return "\n".join(parts)


def markdown(text: str) -> str:
    """Return text with Ansible's markup as Markdown, in one line."""
    text = " ".join(text.split())
    shown, end = [], 0
    for match in _CODE.finditer(text):
        escaped, plain = match["escaped"], match["plain"]
        shown += [
            _prose(text[end : match.start()]),
            _code(re.sub(r"\\(.)", r"\1", escaped) if plain is None else plain),
        ]
        end = match.end()
    return "".join([*shown, _prose(text[end:])])


def _prose(text: str) -> str:
    # These begin markup, HTML or the next cell of a table.
    text = re.sub(r"([*_`|\\])", r"\\\1", text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))
    return _URL.sub(r"<\1>", _LINK.sub(r"[\1](\2)", text))


def _code(text: str) -> str:
    # A bar would end the cell of a table, also in code.
    text = text.replace("|", "\\|")
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def _wrapped(text: str) -> str:
    return textwrap.fill(text, _WIDTH, break_long_words=False, break_on_hyphens=False) + "\n"


def _load(path: pathlib.Path) -> dict[str, t.Any]:
    loaded: dict[str, t.Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return loaded


def _paragraphs(option: t.Mapping[str, t.Any]) -> list[str]:
    description = option["description"]
    return [description] if isinstance(description, str) else list(description)


def _example(role: str, capability: t.Mapping[str, t.Any]) -> str:
    if capability.get("on_request"):
        command = "ansible-playbook bulwark.servers.investigate --inventory hosts.yml -e host=web1 -e path=/dev/shm/x"
        return f"```console\n$ {command}\n```\n"
    lines = ["- name: Scan", "  ansible.builtin.import_playbook: bulwark.servers.scan"]
    lines += ["  vars:", f"    bulwark_capabilities: [{role}]"]
    return "\n".join(["```yaml", *lines, "```\n"])


def _playbooks(capability: t.Mapping[str, t.Any]) -> str:
    first = "investigate" if capability.get("on_request") else "scan"
    names = [first, *dict.fromkeys(_PLAYBOOKS.get(name, name) for name in capability["playbooks"])]
    return f"Playbooks with this role: {', '.join(f'`bulwark.servers.{name}`' for name in names)}"


def _rows(options: t.Mapping[str, t.Any], prefix: str = "") -> t.Iterator[str]:
    for name, option in options.items():
        path = f"{prefix}{name}"
        meaning = " ".join(markdown(paragraph) for paragraph in _paragraphs(option))
        if "choices" in option:
            meaning += f" One of {', '.join(_code(str(choice)) for choice in option['choices'])}."
        kind = option.get("type", "str")
        if kind == "list":
            kind = f"list of {option.get('elements', 'str')}"
        yield f"| `{path}` | {kind} | {_default(option)} | {meaning} |"
        if "options" in option:
            yield from _rows(option["options"], f"{path}[]." if kind.startswith("list") else f"{path}.")


def _default(option: t.Mapping[str, t.Any]) -> str:
    if option.get("required"):
        return "required"
    if "default" not in option:
        return ""
    default = option["default"]
    return _code(default if isinstance(default, str) and default else json.dumps(default, ensure_ascii=False))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
