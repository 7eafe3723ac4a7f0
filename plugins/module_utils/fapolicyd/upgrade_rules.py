# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules that let files run by their digest, whatever they are called and wherever they are, while packages change.

Trust lines can't do this: a trust file holds one digest for each path, and dpkg runs a new program as NAME.dpkg-new or
NAME, its scripts as /var/lib/dpkg/tmp.ci/preinst. Each digest is a rule of its own, because the daemon takes no set of
digests, and says nothing of it. Decisions aren't cached: a file that was refused before runs as soon as its rule is
there. The rules are for root, and for others below directories of root's: no account can have a file of its own hashed,
which would make everybody wait.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.fapolicyd.rules import ROOT_DIRECTORIES

# Sorts before 00-bulwark.rules, for fagenrules and in a reload.
PATH = "rules.d/00-bulwark-upgrade.rules"
_TYPES, _END = "%bulwark_upgrade=", "%bulwark_upgrade_end=end"
_DIGEST = re.compile(r"[0-9a-f]{64}")
_SET = re.compile(r"%(\S+?)=(\S+)")
_DENY_OPEN = re.compile(r"deny\S*\s(?:(?!.*\bperm=execute\b))(.*?)\s:\s(.*)")
_TYPE = re.compile(r"(?:^|\s)ftype=(\S+)")
_ALL = "all"
_BLOCK = re.compile(rb"^%bulwark_upgrade=.*?^%bulwark_upgrade_end=end\n", re.MULTILINE | re.DOTALL)


def render(digests: t.Iterable[str], types: t.Collection[str] | None) -> bytes:
    """Return the rule file. types: of the files that other rules let nobody open, None for all.

    The types keep the daemon from hashing all data that is opened. Raises ValueError for what is no digest.
    """
    wanted = sorted(set(digests))
    if not all(_DIGEST.fullmatch(digest) for digest in wanted):
        raise ValueError("a digest is malformed")
    among = "" if types is None else "ftype=%bulwark_upgrade "
    whose = (("uid=0", ""), ("all", "dir=%bulwark_upgrade_directories "))
    lines = [
        "# Written by bulwark.servers for packages that are being installed or removed; it is removed afterwards.",
        _TYPES + ",".join(sorted(types or ("text/x-shellscript",))),
        "%bulwark_upgrade_directories=" + ",".join(ROOT_DIRECTORIES),
        "allow perm=any all : trust=1",
    ]
    lines.extend("allow perm=execute %s : %ssha256hash=%s" % (*who, each) for who in whose for each in wanted)
    if types is None or types:
        lines.extend("allow perm=open %s : %s%ssha256hash=%s" % (*who, among, each) for who in whose for each in wanted)
    return "".join(line + "\n" for line in (*lines, _END)).encode("ascii")


def inserted(compiled: bytes, block: bytes) -> bytes:
    """Return compiled.rules with the rules of a file of ours before all others, in place of those before.

    The rules of others stay as they are in force: what somebody changed in rules.d and did not load is not loaded here.
    """
    rest = removed(compiled)
    head, newline, rules = rest.partition(b"\n") if rest.startswith(b"##") else (b"", b"", rest)
    ours = b"".join(line + b"\n" for line in block.splitlines() if line and not line.startswith(b"#"))
    return head + newline + ours + rules


def removed(compiled: bytes) -> bytes:
    """Return compiled.rules without our block."""
    return _BLOCK.sub(b"", compiled)


def denied_types(compiled: bytes) -> frozenset[str] | None:
    """Return the types of files that rules let nobody open, None if a rule lets nobody open any file."""
    sets: dict[str, str] = {}
    types: set[str] = set()
    for line in removed(compiled).decode("utf-8", "replace").splitlines():
        named = _SET.match(line)
        if named:
            sets[named.group(1)] = named.group(2)
            continue
        rule = _DENY_OPEN.match(line)
        if rule is None:
            continue
        given = _TYPE.search(rule.group(2))
        if given is not None:
            value = given.group(1)
            types.update((sets.get(value[1:], "") if value.startswith("%") else value).split(","))
        elif rule.group(2).strip() == _ALL and re.sub(r"perm=\w+", "", rule.group(1)).strip() == _ALL:
            return None
    return frozenset(types - {""})
