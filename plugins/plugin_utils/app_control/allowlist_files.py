# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the directory of allowlists that people review: one YAML file for each role or base, and one of exceptions."""

from __future__ import annotations

import dataclasses
import pathlib
import typing as t

import yaml
from ansible_collections.bulwark.servers.plugins.module_utils.app_control import content
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.allowlist import Allowlist, Exemption, Rule
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control import entries
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError

EXCEPTIONS = "exceptions.yml"
# What ``learn`` writes beside a file that is there: people compare both, nothing counts it.
PROPOSAL = ".new.yml"

_FIELDS = ("role", "distribution", "hosts", "learned", "allow", "review")


@dataclasses.dataclass(frozen=True)
class Review:
    """A program that is not allowed until a person moves its rule to ``allow``. rule: None where none is proposed."""

    program: str
    reasons: tuple[str, ...]
    rule: Rule | None


@dataclasses.dataclass(frozen=True)
class RoleList:
    """One allowlist file.

    name: of the role. file: its name in the directory. distribution: of a base, such as "debian 12"; "" for a role.
    hosts: those that it names. learned: what ``learn`` noted (days, hosts, at); empty for a file that people wrote.
    """

    name: str
    file: str
    distribution: str
    hosts: tuple[str, ...]
    learned: t.Mapping[str, t.Any]
    allow: tuple[Rule, ...]
    review: tuple[Review, ...]


@dataclasses.dataclass(frozen=True)
class ListedExemption:
    """An exception, and the hosts that it is for: all if there are none."""

    exemption: Exemption
    hosts: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Lists:
    """All that a directory has. roles: bases and roles, in the order of their files' names."""

    directory: pathlib.Path
    roles: tuple[RoleList, ...]
    exemptions: tuple[ListedExemption, ...]


@dataclasses.dataclass(frozen=True)
class Sources:
    """The files of a directory as they are, by name in order."""

    directory: pathlib.Path
    files: t.Mapping[str, bytes]


def load(directory: str | pathlib.Path) -> Lists:
    """Return the allowlists of a directory; raise ContentError with file and entry for what is wrong."""
    return parse(read(directory))


def read(directory: str | pathlib.Path) -> Sources:
    """Read the files of a directory; raise ContentError where that fails.

    Every file that ends with ``.yml`` counts, apart from proposals (``.new.yml``) and hidden files.
    """
    path = pathlib.Path(directory).expanduser()
    try:
        files = sorted(file for file in path.iterdir() if file.suffix == ".yml" and not _is_left_out(file.name))
        return Sources(path, {file.name: file.read_bytes() for file in files})
    except OSError as error:
        raise ContentError(f"allowlists: {error.filename or path} cannot be read: {error.strerror}") from error


def parse(sources: Sources) -> Lists:
    """Return what files say; raise ContentError with file and entry for what is wrong."""
    roles: dict[str, RoleList] = {}
    exemptions: tuple[ListedExemption, ...] = ()
    for name, text in sources.files.items():
        data = _plain(text, sources.directory / name)
        if name == EXCEPTIONS:
            exemptions = _exemptions(data)
            continue
        role = _role_list(data, name)
        if role.name in roles:
            raise ContentError(f"{name}: role: {roles[role.name].file} is for '{role.name}', too; merge both")
        roles[role.name] = role
    return Lists(sources.directory, tuple(roles.values()), exemptions)


def _is_left_out(name: str) -> bool:
    return name.startswith(".") or name.endswith(PROPOSAL)


def _plain(text: bytes, path: pathlib.Path) -> t.Any:
    try:
        return yaml.load(text.decode("utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise ContentError(f"{path} cannot be read: {error}") from error


def packed_data(lists: Lists, host: str, roles: t.Collection[str] = ()) -> dict[str, t.Any] | None:
    """Return the allowlist of a host as data for ``content.allowlist``, None if no file is for the host.

    roles: names of lists that count in addition to those that name the host. The bases of all distributions are in it
    if a role is for the host, else those that are named. Raises ContentError for a role that has no file.
    """
    known = [each.name for each in lists.roles]
    for name in roles:
        if name not in known:
            raise ContentError(f"roles: there is no allowlist '{name}' in {lists.directory}; {_names(known)}")
    named = [each for each in lists.roles if each.name in roles or host in each.hosts]
    if not named:
        return None
    has_role = any(not each.distribution for each in named)
    chosen = [each for each in lists.roles if each in named or (has_role and each.distribution)]
    return content.as_data(
        [content.RuleList(each.name, each.distribution, each.allow) for each in chosen],
        [each.exemption for each in lists.exemptions if not each.hosts or host in each.hosts],
    )


def compiled(lists: Lists, host: str, roles: t.Collection[str], distribution: str) -> Allowlist | None:
    """Return what counts for a host whose distribution is known, None if no file is for the host."""
    data = packed_data(lists, host, roles)
    return None if data is None else content.allowlist(data, distribution)


def _names(known: t.Sequence[str]) -> str:
    return f"there are {', '.join(known)}" if known else "it has none"


def _role_list(data: t.Any, file: str) -> RoleList:
    fields = entries.fields(data, _FIELDS, file)
    name = catalogue.text(fields, "role", file)
    distribution = entries.text(fields, "distribution", file)
    learned = fields.get("learned") or {}
    return RoleList(
        name=name,
        file=file,
        distribution=distribution,
        hosts=entries.texts(fields, "hosts", file),
        learned=catalogue.mapping(learned, f"{file}: learned"),
        allow=tuple(
            entries.rule(entry, name, f"{file}: allow: entry {number}")
            for number, entry in enumerate(entries.listed(fields, "allow", file), 1)
        ),
        review=tuple(
            _review(entry, name, f"{file}: review: entry {number}")
            for number, entry in enumerate(entries.listed(fields, "review", file), 1)
        ),
    )


def _review(data: t.Any, role: str, where: str) -> Review:
    fields = entries.fields(data, ("program", "reasons", "rule"), where)
    proposed = fields.get("rule")
    return Review(
        program=catalogue.text(fields, "program", where),
        reasons=entries.texts(fields, "reasons", where),
        rule=None if proposed is None else entries.rule(proposed, role, f"{where}: rule"),
    )


def _exemptions(data: t.Any) -> tuple[ListedExemption, ...]:
    fields = entries.fields(data, ("exceptions",), EXCEPTIONS)
    listed = []
    for number, entry in enumerate(entries.listed(fields, "exceptions", EXCEPTIONS), 1):
        where = f"{EXCEPTIONS}: entry {number}"
        exemption = entries.exemption(entry, where)
        listed.append(ListedExemption(exemption, entries.texts(entry, "hosts", where)))
    return tuple(listed)
