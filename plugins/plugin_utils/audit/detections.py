# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Audit analytics' content: the collection's detections, the user's rules and threat lists, compiled for the hosts.

Compiled once for all hosts: what takes a second is kept by ``cache``, under a key made of all that goes in.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import hashlib
import importlib.metadata
import os
import pathlib
import sys
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.sigma.model import FORMAT_VERSION
from ansible_collections.bulwark.servers.plugins.plugin_utils import cache, catalogue, payload
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError
from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma import documents, windows_sources
from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma.sources import LINUX, WINDOWS
from ansible_collections.bulwark.servers.plugins.plugin_utils.threat_lists import options
from ansible_collections.bulwark.servers.plugins.plugin_utils.threat_lists.options import ThreatList

CAPABILITY = "audit"
# What sign_in_info reads; audit_events_info reads everything else.
SIGN_IN_SOURCES = frozenset(("sign_in", "log"))
EVENT_SOURCES = frozenset(
    (
        "process_creation",
        "process_failed",
        "file_event",
        "network_connection",
        "network_listen",
        "syscall",
        "auditd",
        "audit_record",
    )
)
# The same of win_audit_events_info: every category and every channel.
WINDOWS_EVENT_SOURCES = frozenset(
    (
        *windows_sources.CATEGORIES,
        *(channel for channels in windows_sources.SERVICES.values() for channel in channels),
        windows_sources.EVERY_EVENT,
    )
)

_DIRECTORY = catalogue.CONTENT / CAPABILITY
OWN_RULES = _DIRECTORY / "detections"
_PLUGIN_UTILS = pathlib.Path(__file__).parents[1]


@dataclasses.dataclass(frozen=True)
class Content:
    """What a host needs to detect, and what had to be left out.

    payload: for the option ``_content`` of the modules, which ``module_utils/_payload.py`` reads. problems: one
    sentence for each rule or entry of a list that is not used. rules: how many are used. foreign: how many of the
    user's rules are for other systems. threats: how many entries of threat lists are used.
    """

    payload: str
    problems: tuple[str, ...]
    rules: int
    foreign: int
    threats: int


class _Inputs(t.NamedTuple):
    own: list[pathlib.Path]
    given: list[pathlib.Path]
    threat_lists: list[ThreatList]
    sources: frozenset[str] | None
    platform: str


def load(
    rule_paths: t.Sequence[str] = (),
    threat_lists: t.Sequence[t.Any] = (),
    own_rules: bool = True,
    sources: t.Collection[str] | None = None,
    platform: str = LINUX,
) -> Content:
    """Return the content for all hosts of a run. Raises ContentError for a path or an option that is wrong.

    rule_paths: files, or directories of files, with Sigma rules. threat_lists: what threat_lists/options.py takes.
    own_rules: whether the collection's rules are used. sources: those that the reader has; all where that is None.
    platform: one of sigma/sources.py's, which the hosts have.
    """
    chosen = None if sources is None else frozenset(sources)
    if not rule_paths and not threat_lists:
        return _shipped(own_rules, chosen, platform)
    return _load(rule_paths, threat_lists, own_rules, chosen, platform)


@functools.lru_cache(maxsize=8)
def _shipped(own_rules: bool, sources: frozenset[str] | None, platform: str) -> Content:
    """Return the collection's own content, which is the same for all hosts that a process looks at."""
    return _load((), (), own_rules, sources, platform)


def _load(
    rule_paths: t.Sequence[str],
    threat_lists: t.Sequence[t.Any],
    own_rules: bool,
    sources: frozenset[str] | None,
    platform: str,
) -> Content:
    inputs = _Inputs(
        own=own_files(platform) if own_rules else [],
        given=_given(rule_paths),
        threat_lists=options.checked(threat_lists),
        sources=sources,
        platform=platform,
    )
    found = cache.cached(cache.default_directory(os.environ), _key(inputs), lambda: _compile(inputs))
    return Content(**{**found, "problems": tuple(found["problems"])})


def own_files(platform: str) -> list[pathlib.Path]:
    """Return the files of the collection's rules for a platform: those below windows/, or all others."""
    files = documents.files_below(str(OWN_RULES))
    return [file for file in files if (file.relative_to(OWN_RULES).parts[0] == WINDOWS) == (platform == WINDOWS)]


def _given(rule_paths: t.Sequence[str]) -> list[pathlib.Path]:
    """Return the user's rule files, each once."""
    found: dict[pathlib.Path, pathlib.Path] = {}
    for path in rule_paths:
        try:
            files = documents.files_below(os.path.expanduser(path))
        except OSError as error:
            raise ContentError(f"rule_paths: {path} cannot be read: {error.strerror}") from error
        if not files:
            raise ContentError(
                f"rule_paths: there is no .yml file below {path}; give a file or directory of Sigma rules"
            )
        for file in files:
            found.setdefault(file.resolve(), file)
    return list(found.values())


def _key(inputs: _Inputs) -> str:
    """Return a digest of all that the content depends on."""
    digest = hashlib.sha256()
    try:
        parts = [str(FORMAT_VERSION), importlib.metadata.version("pysigma"), sys.version]
    except importlib.metadata.PackageNotFoundError:
        raise ContentError(
            "audit analytics needs pySigma 2 on the controller, with the Python that runs Ansible: "
            "pip install 'pysigma>=2.0.1'"
        ) from None
    parts.append(inputs.platform)
    parts.append("all" if inputs.sources is None else ",".join(sorted(inputs.sources)))
    parts += [repr(each) for each in inputs.threat_lists]
    if any(each.format == "stix" for each in inputs.threat_lists):
        parts.append(dt.datetime.now(dt.UTC).date().isoformat())  # their indicators expire
    for part in parts:
        digest.update(f"{len(part)} {part}".encode())
    code = [file for name in ("sigma", "threat_lists") for file in sorted((_PLUGIN_UTILS / name).glob("*.py"))]
    ours = [_DIRECTORY / "alerts.yml", catalogue.CONTENT / "attack.yml", *sorted(_DIRECTORY.glob("lists*.yml"))]
    lists = [each.path for each in inputs.threat_lists]
    for file in [*code, *ours, *inputs.own, *inputs.given, *lists]:
        digest.update(f"{file}\0".encode("utf-8", "surrogateescape"))
        try:
            digest.update(hashlib.sha256(file.read_bytes()).digest())
        except OSError:
            digest.update(b"unreadable")  # compiling says why
    return digest.hexdigest()


def _compile(inputs: _Inputs) -> dict[str, t.Any]:
    # Here, because importing pySigma takes longer than all else where the cache has the content.
    from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.views import fields_of
    from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma.compiler import compile_rules
    from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma.facts import Known
    from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma.selection import for_sources
    from ansible_collections.bulwark.servers.plugins.plugin_utils.threat_lists.rules import compile_lists

    read = [documents.read(file, own=True) for file in inputs.own] + [documents.read(file) for file in inputs.given]
    everything = catalogue.load()
    alerts = {alert.id: alert for alert in everything if alert.capability == CAPABILITY}
    threats = compile_lists(inputs.threat_lists, dt.datetime.now(dt.UTC), inputs.platform)
    compilation = compile_rules(
        [document for found, _problems in read for document in found],
        Known(alerts, everything.techniques, fields_of if inputs.platform == LINUX else _any_fields),
        _lists(),
        threats.rules,
        inputs.platform,
    )
    compiled = {**compilation.payload, "lists": threats.lists}
    problems = [problem for _found, problems in read for problem in problems]
    problems += [*threats.problems, *compilation.problems]
    return {
        "payload": payload.packed(compiled if inputs.sources is None else for_sources(compiled, inputs.sources)),
        "problems": [str(problem) for problem in problems],
        "rules": compilation.loaded,
        "foreign": compilation.foreign,
        "threats": threats.entries,
    }


def _any_fields(_source: str) -> None:
    """Say nothing of the fields that events of Windows have: the host knows what it records."""


def _lists() -> dict[str, list[str]]:
    """Return the lists that rules expand (``FIELD|expand: '%NAME%'``), from lists*.yml: name -> texts."""
    found: dict[str, list[str]] = {}
    for path in sorted(_DIRECTORY.glob("lists*.yml")):
        lists = catalogue.read(path)
        if not isinstance(lists, dict) or not all(isinstance(entries, list) for entries in lists.values()):
            raise ContentError(f"{path.name}: a mapping of names to lists is needed")
        found.update({str(name): [str(entry) for entry in entries] for name, entries in lists.items()})
    return found
