# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read loaded code of the kernel: modules that the distribution did not build or sign, and eBPF programs."""

from __future__ import annotations

import os
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _bpf, _safe_fs
from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.budget import Budget
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.host import Host
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.model import Event, Facts, Link, Node
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.nearest import Nearest

_MODULES_LIMIT = 1 << 20
# proc_modules(5); the letters are those of the kernel's Documentation/admin-guide/tainted-kernels.rst.
_MODULE = re.compile(r"(\S+) (\d+) \d+ \S+ \S+ \S+(?: \((\w+)\))?\Z")
_TAINTS: t.Mapping[str, str] = {
    "O": "built outside of the kernel's source",
    "E": "not signed",
    "F": "forced",
    "P": "proprietary",
}


def gather(host: Host, nearest: Nearest, wanted: t.AbstractSet[str], budget: Budget) -> Facts:
    """Return the modules that taint the kernel, and the eBPF programs that were loaded near in time.

    wanted: ids of nodes; a module is connected with the file that it has its name from. Facts of a module: taints and
    size; of a program: type, tag, uid.
    """
    modules = parse_modules(_modules(host, budget))
    nodes = [Node("startup:kernel module " + module.label, module.label, module.facts) for module in modules]
    links = [
        Link(node.id, identity, "starts", "kernel")
        for node in nodes
        for identity in wanted
        if identity.startswith("file:") and _module_name(identity) == node.label
    ]
    programs = _programs(host, nearest, budget)
    return Facts((*nodes, *programs.nodes), (*links, *programs.links), programs.events)


class Module(t.NamedTuple):
    label: str
    facts: t.Mapping[str, t.Any]


def parse_modules(content: bytes) -> list[Module]:
    """Return the modules of proc_modules(5) that the kernel marks; others came with it."""
    modules = []
    for line in content.decode("utf-8", "replace").splitlines():
        match = _MODULE.match(line.strip())
        if match and match.group(3):
            taints = [_TAINTS[letter] for letter in match.group(3) if letter in _TAINTS]
            facts = {"startup": "loaded kernel module", "taints": taints, "size": int(match.group(2))}
            modules.append(Module(printable(match.group(1)), facts))
    return modules


def _module_name(identity: str) -> str:
    """Return the name that the kernel gives a module by its file, "" for another file."""
    name = identity.rpartition("/")[2]
    stem = re.sub(r"\.ko(?:\.(?:xz|zst|gz))?\Z", "", name)
    return stem.replace("-", "_") if stem != name else ""


def _modules(host: Host, budget: Budget) -> bytes:
    try:
        with open(os.path.join(host.proc, "modules"), "rb") as stream:
            return stream.read(_MODULES_LIMIT)
    except FileNotFoundError:  # a kernel without modules
        return b""
    except OSError as error:
        budget.skip("kernel modules", _safe_fs.reason(error))
        return b""


def _programs(host: Host, nearest: Nearest, budget: Budget) -> Facts:
    if host.root or nearest.begin is None:
        return Facts()
    try:
        programs = _bpf.Kernel().programs()
    except _bpf.RefusedError as refused:
        budget.skip("eBPF programs", str(refused))
        return Facts()
    nodes, links, events = [], [], []
    for program in programs:
        time = host.boot + program.loaded
        if not nearest.is_near(time):
            continue
        name = "eBPF program %s (%d)" % (printable(program.name) or program.kind, program.id)
        facts = {"startup": "eBPF program", "type": program.kind, "tag": program.tag, "uid": program.user}
        nodes.append(Node("startup:" + name, name, facts, time))
        events.append(Event(time, "kernel", "%s was loaded" % name, ("startup:" + name,)))
        neighbour = nearest.node(time)
        if neighbour is not None:
            links.append(Link("startup:" + name, neighbour, "near", "kernel", time))
    return Facts(nodes, links, events)
