# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Speaking with the kernel's packet filter through nft(8): text in, the JSON of libnftables-json(5) out."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _command
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import HostError
from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable

# Every table of the collection is of the family that sees IPv4 and IPv6.
FAMILY = "inet"
# An element of a set takes about 150 bytes, and the largest set of ours holds 16,384.
_MOST_OUTPUT = 1 << 26
_LONGEST_MESSAGE = 300
_NO_ROOT = "only root may use the packet filter; run as root (become: true, or sudo make scan)"
_NO_CAPABILITY = (
    "root has no CAP_NET_ADMIN here, as in a container, and cannot use the packet filter; protect and scan the"
    " container's host"
)
_TABLE_LINE = re.compile(r"table (\S+) (\S+) \{")
# In a chain, with two tabs; a set has no handles within.
_RULE_LINE = re.compile(r"\t\t(.+) # handle (\d+)\Z")

Objects = t.List[t.Dict[str, t.Any]]


class FirewallError(HostError):
    """The packet filter can't be used, or refused what it was told; one sentence."""


@dataclasses.dataclass(frozen=True)
class Element:
    """An element of a set. key: its parts as nft writes them: ``("10.0.0.0/24", "tcp", "8000-8100")``.

    timeout, left: seconds, whole ones, rounded down; both None where it stays. timeout is None, too, where it is the
    set's. packets: None without a counter.
    """

    key: tuple[str, ...]
    timeout: int | None = None
    left: int | None = None
    packets: int | None = None
    bytes: int | None = None


class Nft:
    """Runs nft. Every method raises FirewallError when that can't be done."""

    def __init__(self, timeout: float = 30.0, program: str = "nft", most_output: int = _MOST_OUTPUT) -> None:
        """timeout: seconds for one call. most_output: bytes that one call may write."""
        self._timeout = timeout
        self._program = program
        self._most_output = most_output

    def check(self, text: str) -> None:
        """Raise FirewallError when the kernel would refuse the text; nothing is changed."""
        self._run(["--check", "--file", "-"], text)

    def apply(self, text: str) -> None:
        """Do everything in the text in one transaction, or nothing of it."""
        self._run(["--file", "-"], text)

    def version(self) -> str | None:
        """Return what nft calls itself and its version, None where it doesn't say."""
        try:
            lines = self._run(["--version"]).decode("utf-8", "replace").splitlines()
        except FirewallError:
            return None
        return " ".join(lines[0].split()[:2]) if lines else None

    def is_usable(self) -> bool:
        """Say whether the kernel can be asked at all."""
        try:
            self.tables()
        except FirewallError:
            return False
        return True

    def tables(self) -> list[tuple[str, str]]:
        """Return (family, name) of all tables, whoever made them."""
        found = (entry["table"] for entry in self._json(["list", "tables"]) if "table" in entry)
        return [(str(table["family"]), str(table["name"])) for table in found]

    def table(self, name: str) -> Objects | None:
        """Return the objects of a table of the family inet without the elements of its sets, None when there is none.

        As in libnftables-json(5): ``[{"table": {...}}, {"chain": {...}}, {"set": {...}}, {"rule": {...}}, ...]``.
        """
        if (FAMILY, name) not in self.tables():
            return None
        return self._json(["--terse", "list", "table", FAMILY, name])

    def handle(self, name: str) -> str | None:
        """Return what the kernel calls a table of the family inet, None when there is none.

        A table that is made anew has another one.
        """
        for entry in self._json(["--handle", "list", "tables"]):
            found = entry.get("table", {})
            if (found.get("family"), found.get("name")) == (FAMILY, name):
                return str(found.get("handle"))
        return None

    def whole_table(self, name: str) -> Objects:
        """Return the objects of a table that is there, with the elements of its sets."""
        return self._json(["list", "table", FAMILY, name])

    def rules(self, table: str, chain: str) -> list[dict[str, t.Any]]:
        """Return the rules of a chain that is there, in their order."""
        found = self._json(["list", "chain", FAMILY, table, chain])
        return [entry["rule"] for entry in found if "rule" in entry]

    def sets(self) -> list[tuple[str, str]]:
        """Return (table, name) of all sets in tables of the family inet, whoever made them."""
        found = (entry["set"] for entry in self._json(["--terse", "list", "sets", FAMILY]) if "set" in entry)
        return [(str(one["table"]), str(one["name"])) for one in found]

    def elements(self, table: str, name: str) -> list[Element]:
        """Return what is in a set that is there; what is expired is not."""
        found = self._json(["list", "set", FAMILY, table, name])
        return [element(item) for entry in found for item in entry.get("set", {}).get("elem", [])]

    def ruleset(self, elements: bool = False, but: str = "") -> Objects:
        """Return the objects of all tables, whoever made them; elements: with those of their sets.

        but: the name of a table that is left out then, as its sets are large.
        """
        if not elements:
            return self._json(["--terse", "list", "ruleset"])
        tables = self.tables()
        if (FAMILY, but) not in tables:
            return self._json(["list", "ruleset"])
        wanted = [["list", "table", family, name] for family, name in tables if name != but]
        return [entry for arguments in wanted for entry in self._json(arguments)]

    def rule_texts(self) -> dict[tuple[str, str, int], str]:
        """Return rules as nft writes them, by family, table and handle."""
        texts: dict[tuple[str, str, int], str] = {}
        family, table = "", ""
        for line in self._run(["--terse", "--handle", "list", "ruleset"]).decode("utf-8", "replace").splitlines():
            begin, rule = _TABLE_LINE.match(line), _RULE_LINE.match(line)
            if begin:
                family, table = begin.groups()
            elif rule:
                texts[family, table, int(rule.group(2))] = _shown(rule.group(1))
        return texts

    def rehearsed(self, text: str, table: str) -> Objects:
        """Return the objects of a table as they are where only this text was applied, in a network of its own.

        So that what is in force can be compared as the same nft writes it. Nothing is changed for the host.
        """
        script = '"$@" --file - && exec "$@" --json list table %s %s' % (FAMILY, table)
        command = ("unshare", "--net", "--", "/bin/sh", "-c", script, "sh", self._program)
        return _objects(_run(command, self._timeout, self._most_output, text), "list table")

    def _json(self, arguments: t.Sequence[str]) -> Objects:
        return _objects(self._run(["--json", *arguments]), " ".join(arguments))

    def _run(self, arguments: t.Sequence[str], text: str | None = None) -> bytes:
        return _run([self._program, *arguments], self._timeout, self._most_output, text)


def _run(command: t.Sequence[str], timeout: float, most: int, text: str | None) -> bytes:
    given = None if text is None else text.encode("utf-8")
    try:
        completed = _command.run(command, timeout, most, given)
    except _command.CommandError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            raise FirewallError("there is no %s on this host: install nftables" % command[0]) from None
        raise FirewallError("the packet filter can't be used: %s" % error) from None
    if completed.returncode:
        raise FirewallError(explain(completed.stderr.decode("utf-8", "replace"), text))
    return completed.stdout


def _objects(output: bytes, what: str) -> Objects:
    try:
        return [entry for entry in json.loads(output)["nftables"] if "metainfo" not in entry]
    except (ValueError, KeyError, TypeError):
        raise FirewallError("'nft --json %s' answered with something else than JSON: update nftables" % what) from None


def explain(said: str, text: str | None) -> str:
    """Return the sentence for what nft wrote when it failed; text: what it was given."""
    if "Operation not permitted" in said or "Permission denied" in said:
        return _NO_ROOT if os.geteuid() else _NO_CAPABILITY
    if "cache initialization failed" in said or "Protocol not supported" in said:
        return "the kernel of this host has no nf_tables: load or build that module"
    if "JSON support not compiled-in" in said:
        return "nft was built without JSON on this host: install nftables with it"
    lines = [line for line in said.splitlines() if "Error" in line] or said.splitlines() or ["it said nothing"]
    message = lines[0]
    place, separator, problem = message.partition(": Error: ")
    if separator and text is not None:
        number = place.split(":")[1] if place.count(":") else ""
        source = text.splitlines()
        if number.isdigit() and 0 < int(number) <= len(source):
            return "nft refused '%s': %s; nothing was changed" % (
                _shown(source[int(number) - 1]),
                _shown(problem),
            )
    return "nft failed: %s; nothing was changed" % _shown(message.replace("Error: ", ""))


def _shown(text: str) -> str:
    text = printable(text.strip())
    return text if len(text) <= _LONGEST_MESSAGE else text[:_LONGEST_MESSAGE] + "..."


def element(item: t.Any) -> Element:
    """Return an element of a set from nft's JSON, in which one without timeout and counter is its key alone."""
    fields = item.get("elem", {}) if isinstance(item, dict) else {}
    value = fields.get("val", item)
    counter = fields.get("counter") or {}
    # A set with a statement of its own has its counter in a list in some versions.
    for statement in fields.get("stmt", ()):
        counter = statement.get("counter") or counter if isinstance(statement, dict) else counter
    parts = value["concat"] if isinstance(value, dict) and "concat" in value else [value]
    return Element(
        tuple(_part(part) for part in parts),
        fields.get("timeout"),
        fields.get("expires"),
        counter.get("packets"),
        counter.get("bytes"),
    )


def _part(part: t.Any) -> str:
    if isinstance(part, dict) and "prefix" in part:
        return "%s/%s" % (part["prefix"]["addr"], part["prefix"]["len"])
    if isinstance(part, dict) and "range" in part:
        return "%s-%s" % tuple(part["range"])
    return str(part)
