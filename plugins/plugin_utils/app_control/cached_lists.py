# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Allowlists for the looks of a scan: parsed once for all hosts, each of which has a process of its own.

The lists of 20 roles with 300 rules each take half a second to parse.
"""

from __future__ import annotations

import hashlib
import os
import pathlib
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.app_control import allowlist, content
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.allowlist import Exemption
from ansible_collections.bulwark.servers.plugins.plugin_utils import cache
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control import allowlist_files, entries
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.allowlist_files import (
    ListedExemption,
    Lists,
    RoleList,
    Sources,
)

_CODE = tuple(pathlib.Path(str(module.__file__)) for module in (allowlist, content, allowlist_files, entries))


def load(directory: str) -> Lists:
    """Return the allowlists of a directory as far as a host is judged by them: without what is to be reviewed.

    Raises ContentError with file and entry for what is wrong.
    """
    sources = allowlist_files.read(directory)
    # A directory of their own: lists change often, and must not displace compiled rules, which take ten times as long.
    data = cache.cached(
        cache.default_directory(os.environ) / "allowlists",
        _key(sources),
        lambda: _as_data(allowlist_files.parse(sources)),
    )
    return _from_data(data, sources.directory)


def _key(sources: Sources) -> str:
    """Return a digest of all that the lists depend on."""
    digest = hashlib.sha256(b"app_control")
    code = {str(path): path.read_bytes() for path in (*_CODE, pathlib.Path(__file__))}
    for name, text in (*code.items(), *sources.files.items()):
        digest.update(f"{len(name)} {name} {len(text)} ".encode("utf-8", "surrogateescape"))
        digest.update(text)
    return digest.hexdigest()


def _as_data(lists: Lists) -> dict[str, t.Any]:
    return {
        "lists": content.as_data(
            [content.RuleList(each.name, each.distribution, each.allow) for each in lists.roles], ()
        )["lists"],
        "hosts": [each.hosts for each in lists.roles],
        "exemptions": [[each.exemption._asdict(), each.hosts] for each in lists.exemptions],
    }


def _from_data(data: t.Mapping[str, t.Any], directory: pathlib.Path) -> Lists:
    return Lists(
        directory,
        tuple(
            RoleList(each.name, "", each.distribution, tuple(hosts), {}, each.rules, ())
            for each, hosts in zip(content.rule_lists(data["lists"]), data["hosts"], strict=True)
        ),
        tuple(ListedExemption(Exemption(**fields), tuple(hosts)) for fields, hosts in data["exemptions"]),
    )
