# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Chains of iptables and sets of ipset that earlier versions locked ports with: list them, and remove them.

This version locks with nftables alone. Such chains go on denying beside it, and its grants do not open them.
"""

from __future__ import annotations

import os
import shlex
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _command
from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils.firewall import boot
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.boot import Place, Unit
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.nft import FirewallError

BACKEND = "iptables"
_CHAIN = "BULWARK_JIT"
_SETS = "bulwark_jit_"
# Every chain of ours matches a set, so that there is none where the kernel has no sets.
_MODULES = "/sys/module"
_MODULE = "ip_set"
_FAMILIES = ("iptables", "ip6tables")
_VARIANTS = ("legacy", "nft")
_SECONDS = 30.0
_MOST_OUTPUT = 1 << 26
_LONGEST_MESSAGE = 300
# The variant of nftables frees a set a while after the rules that use it are gone.
_TRIES = 25
_PAUSE = 0.2

_BESIDE = (
    *("ipset.service", "iptables.service", "ip6tables.service"),
    *("netfilter-persistent.service", "firewalld.service", "ufw.service"),
)
_UNITS = ("bulwark-firewall-jit-ipset.service", "bulwark-firewall-jit-iptables.service")
_FILES = tuple("bulwark_jit" + ending for ending in (".ipset", ".ipset.sh", ".iptables", ".ip6tables"))

Command = t.Tuple[str, ...]


def is_noted(noted: t.Mapping[str, t.Any] | None) -> bool:
    """Say whether a policy was put in iptables. noted: the content of its file, None without one."""
    return noted is not None and noted.get("backend") == BACKEND


def commands(place: Place) -> list[Command]:
    """Return the commands that remove what is there, in their order: what loads it at boot, chains, and sets."""
    return [*_at_boot(place), *_in_kernel()]


def _at_boot(place: Place) -> t.Iterator[Command]:
    units = [name for name in _UNITS if os.path.lexists(os.path.join(place.units, name))]
    if units:
        yield ("systemctl", "disable", "--now", *units)
        yield ("rm", *(os.path.join(place.units, name) for name in units))
    directory = os.path.join(place.state_root, boot.DIRECTORY)
    files = [os.path.join(directory, name) for name in _FILES]
    files = [path for path in files if os.path.lexists(path)]
    if files:
        yield ("rm", *files)


def _in_kernel() -> list[Command]:
    if os.path.isdir(_MODULES) and not os.path.isdir(os.path.join(_MODULES, _MODULE)):
        return []
    sets = sorted(name for name in (_output("ipset", "-n", "list") or "").split() if name.startswith(_SETS))
    if not sets:
        return []
    wanted = [command for program, saved in _saved() for command in _removing(program, saved)]
    return wanted + [("ipset", "destroy", name) for name in sets]


def remove(place: Place, lock_timeout: float) -> bool:
    """Remove chains, sets, and what loads them at boot; return whether there were any. FirewallError, StateError."""
    units = [Unit(name, "", "", (), _BESIDE) for name in _UNITS]
    # First, so that what is removed now is not there again after a boot.
    there = boot.forget(place, _FILES, units, lock_timeout)
    wanted = _in_kernel()
    for command in wanted:
        _run(command)
    return bool(wanted) or there


def sentence(wanted: t.Sequence[Command]) -> str:
    """Return what is to be said of chains that are there, with the commands that remove them."""
    return "%s; or with these commands: %s" % (summary(), "; ".join(map(words, wanted)))


def words(command: Command) -> str:
    """Return a command as a shell takes it."""
    return " ".join(map(shlex.quote, command))


def summary() -> str:
    return (
        "an earlier version has locked ports with iptables, and what it made is still there, which grants do not open:"
        " remove it with bulwark.servers.jit_access and state=absent, and set the policy again"
    )


def _saved() -> t.Iterator[tuple[str, str]]:
    """Yield each program that has chains of ours, and all its rules as iptables-save(8) writes them."""
    for family in _FAMILIES:
        variants = ["%s-%s" % (family, variant) for variant in _VARIANTS]
        texts = {program: _output(program + "-save") for program in variants}
        if all(text is None for text in texts.values()):
            texts = {family: _output(family + "-save")}
        for program, text in texts.items():
            if text and ":%s " % _CHAIN in text:
                yield program, text


def _removing(program: str, saved: str) -> t.Iterator[Command]:
    """Yield the commands that take our chains out of the tables of one program."""
    for part in saved.split("\n*")[0 if saved.startswith("*") else 1 :]:
        lines = part.lstrip("*").splitlines()
        start: Command = (program, "-w", "-t", lines[0].strip())
        ours = [line[1:].split(" ", 1)[0] for line in lines if line.startswith((":%s " % _CHAIN, ":%s_" % _CHAIN))]
        for line in lines:
            add, _space, rule = line.partition(" ")
            chain, _space, jump = rule.partition(" ")
            if add == "-A" and chain not in ours and jump == "-j %s" % _CHAIN:
                yield (*start, "-D", chain, "-j", _CHAIN)
        for option in ("-F", "-X"):
            yield from ((*start, option, chain) for chain in ours)


def _output(*command: str) -> str | None:
    """Return what a program writes, None where there is no such program, or it fails."""
    try:
        completed = _command.run(command, _SECONDS, _MOST_OUTPUT)
    except _command.CommandError:
        return None
    return None if completed.returncode else completed.stdout.decode("utf-8", "replace")


def _run(command: Command) -> None:
    for attempt in range(_TRIES):
        if attempt:
            time.sleep(_PAUSE)
        try:
            completed = _command.run(command, _SECONDS, _MOST_OUTPUT)
        except _command.CommandError as error:
            raise FirewallError("'%s' failed: %s" % (" ".join(command), error)) from None
        if not completed.returncode:
            return
        if command[0] != "ipset":
            break
    said = printable(completed.stderr.decode("utf-8", "replace").strip())[:_LONGEST_MESSAGE]
    raise FirewallError("'%s' failed: %s; run it by hand, and then state=absent again" % (" ".join(command), said))
