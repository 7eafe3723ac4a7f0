# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Roots of hosts on the disk: files, with packages of dpkg that own some of them."""

from __future__ import annotations

import hashlib
import os
import pathlib
import subprocess
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.investigation.budget import Budget
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.host import Host
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.model import Facts, Link, Node
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.source import Wanted

from tests.support import commands

# Tests take their times when they are imported, and may wait for long until they run.
_BEGUN = time.time()
_BOOT = "0123456789abcdef0123456789abcdef"


class Root:
    """A directory that stands for the / of a host."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        self._packages: dict[str, dict[str, bytes]] = {}
        self._save()

    def write(self, name: str, content: bytes | str = b"", mode: int = 0o644, package: str = "") -> pathlib.Path:
        """Write a file; package: of dpkg, which owns it with this content."""
        path = self.path / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        data = content.encode() if isinstance(content, str) else content
        path.write_bytes(data)
        path.chmod(mode)
        if package:
            self._packages.setdefault(package, {})["/" + name.lstrip("/")] = data
            self._save()
        return path

    def link(self, name: str, target: str) -> pathlib.Path:
        path = self.path / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(target)
        return path

    def journal(self, seconds: float, *entries: t.Mapping[str, str]) -> None:
        """Write a journal with entries of one time, which systemd-journal-remote(8) makes."""
        directory = self.path / "var/log/journal" / _BOOT
        directory.mkdir(parents=True)
        export = self.path / "export"
        exported = (_exported(seconds, number, entry) for number, entry in enumerate(entries))
        export.write_text("".join(exported), encoding="ascii")
        program = commands.find("systemd-journal-remote") or ""
        command = [program, f"--output={directory / 'system.journal'}", str(export)]
        subprocess.run(command, check=True, capture_output=True)
        export.unlink()

    def own(self, package: str, *names: str) -> None:
        """Let a package own files as they are, quicker than one by one."""
        files = {"/" + name.lstrip("/"): (self.path / name.lstrip("/")).read_bytes() for name in names}
        self._packages.setdefault(package, {}).update(files)
        self._save()

    def _save(self) -> None:
        info = self.path / "var/lib/dpkg/info"
        info.mkdir(parents=True, exist_ok=True)
        stanzas = []
        for package, files in self._packages.items():
            stanzas.append(f"Package: {package}\nStatus: install ok installed\nArchitecture: all\nVersion: 1.0-1\n")
            (info / f"{package}.list").write_text("".join(f"{name}\n" for name in files), encoding="utf-8")
            sums = "".join(
                f"{hashlib.md5(data, usedforsecurity=False).hexdigest()}  {name[1:]}\n" for name, data in files.items()
            )
            (info / f"{package}.md5sums").write_text(sums, encoding="utf-8")
        (self.path / "var/lib/dpkg/status").write_text("\n".join(stanzas), encoding="utf-8")

    def host(self, now: float | None = None) -> Host:
        return Host(os.fsencode(self.path), now=now)


def _exported(seconds: float, number: int, fields: t.Mapping[str, str]) -> str:
    """Return an entry in the export format of the journal (systemd.io/JOURNAL_EXPORT_FORMATS)."""
    place = f"{number + 1:x}"
    time_us = int(seconds * 1e6) + number
    usual = {
        "__REALTIME_TIMESTAMP": str(time_us),
        "__MONOTONIC_TIMESTAMP": str(number + 1),
        "_BOOT_ID": _BOOT,
        "__CURSOR": f"s={_BOOT};i={place};b={_BOOT};m={place};t={time_us:x};x={place}",
    }
    return "".join(f"{name}={value}\n" for name, value in {**usual, **fields}.items()) + "\n"


def budget(seconds: float = 60.0, most_bytes: int = 64 << 20) -> Budget:
    return Budget(seconds, most_bytes)


def wanted(
    *nodes: Node | str, window: tuple[float, float] | None = None, number: int = 0, old: t.Sequence[Node] = ()
) -> Wanted:
    """Return what is wanted: nodes, or ids of nodes. window: None for the time of the tests and a minute around it."""
    each = [Node(node, node.partition(":")[2]) if isinstance(node, str) else node for node in nodes]
    known = {node.id: node for node in [*each, *old]}
    return Wanted(known, frozenset(node.id for node in each), [window or (_BEGUN - 60, time.time() + 60)], number)


def links(facts: Facts, relation: str) -> set[tuple[str, str]]:
    return {(link.source, link.target) for link in facts.links if link.relation == relation}


def node(facts: Facts, identity: str) -> Node:
    matches = [each for each in facts.nodes if each.id == identity]
    assert len(matches) == 1, f"{identity} is {len(matches)} times among {sorted(each.id for each in facts.nodes)}"
    return matches[0]


def ids(facts: Facts, kind: str = "") -> set[str]:
    return {each.id for each in facts.nodes if each.id.startswith(kind)}


__all__ = ["Link", "Root", "budget", "ids", "links", "node", "wanted"]
