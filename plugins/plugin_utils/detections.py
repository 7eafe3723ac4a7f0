# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Audit analytics' content: the collection's detections and the user's rules, compiled for the hosts once in a run."""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import json
import pathlib
import typing as t
import zlib

from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError
from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma import documents
from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma.compiler import compile_rules
from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma.documents import Document
from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma.facts import Known
from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma.problems import Problem
from ansible_collections.bulwark.servers.plugins.plugin_utils.threat_lists import options
from ansible_collections.bulwark.servers.plugins.plugin_utils.threat_lists.rules import compile_lists

try:
    import sigma.rule
except ImportError:
    _PYSIGMA = False
else:
    _PYSIGMA = hasattr(sigma.rule, "SigmaRule")

CAPABILITY = "audit"
_DIRECTORY = catalogue.CONTENT / CAPABILITY


@dataclasses.dataclass(frozen=True)
class Content:
    """What a host needs to detect, and what had to be left out.

    payload: for the option ``_content`` of the modules, which ``module_utils/sigma/payload.py`` reads. problems: one
    sentence for each rule or entry of a list that is not used. rules: how many are used. foreign: how many of the
    user's rules are for other systems. threats: how many entries of threat lists are used.
    """

    payload: str
    problems: tuple[str, ...]
    rules: int
    foreign: int
    threats: int


def load(rule_paths: t.Sequence[str] = (), threat_lists: t.Sequence[t.Any] = (), own_rules: bool = True) -> Content:
    """Return the content for all hosts of a run. Raises ContentError for a path that isn't there.

    rule_paths: files, or directories of files, with Sigma rules. threat_lists: what threat_lists/options.py takes.
    own_rules: whether the collection's rules are used.
    """
    if not _PYSIGMA:
        raise ContentError(
            "audit analytics needs pySigma 2 on the controller, with the Python that runs Ansible: "
            "pip install 'pysigma>=2.0.1,<3'"
        )
    found, problems = _own_documents() if own_rules else ([], [])
    for path in rule_paths:
        more, wrong = _documents(path)
        found += more
        problems += wrong
    everything = catalogue.load()
    alerts = {alert.id for alert in everything if alert.capability == CAPABILITY}
    threats = compile_lists(options.checked(threat_lists), dt.datetime.now(dt.UTC))
    compilation = compile_rules(found, Known(alerts, everything.techniques), _lists(), threats.rules)
    problems += [*threats.problems, *compilation.problems]
    return Content(
        payload=_packed({**compilation.payload, "lists": threats.lists}),
        problems=tuple(str(problem) for problem in problems),
        rules=compilation.loaded,
        foreign=compilation.foreign,
        threats=threats.entries,
    )


def _own_documents() -> tuple[list[Document], list[Problem]]:
    directory = _DIRECTORY / "detections"
    if not directory.is_dir():
        return [], []
    return _read(documents.files_below(str(directory)), own=True)


def _documents(path: str) -> tuple[list[Document], list[Problem]]:
    try:
        files = documents.files_below(str(pathlib.Path(path).expanduser()))
    except OSError as error:
        raise ContentError(f"rule_paths: {path} cannot be read: {error.strerror}") from error
    if not files:
        raise ContentError(f"rule_paths: there is no .yml file below {path}; give a file or directory of Sigma rules")
    return _read(files, own=False)


def _read(files: t.Iterable[pathlib.Path], own: bool) -> tuple[list[Document], list[Problem]]:
    found: list[Document] = []
    problems: list[Problem] = []
    for file in files:
        more, wrong = documents.read(file, own)
        found += more
        problems += wrong
    return found, problems


def _lists() -> dict[str, list[str]]:
    """Return the lists that rules expand (``FIELD|expand: '%NAME%'``), from lists*.yml: name -> texts."""
    found: dict[str, list[str]] = {}
    for path in sorted(_DIRECTORY.glob("lists*.yml")):
        lists = catalogue.read(path)
        if not isinstance(lists, dict) or not all(isinstance(entries, list) for entries in lists.values()):
            raise ContentError(f"{path.name}: a mapping of names to lists is needed")
        found.update({str(name): [str(entry) for entry in entries] for name, entries in lists.items()})
    return found


def _packed(payload: t.Mapping[str, t.Any]) -> str:
    text = json.dumps(payload, separators=(",", ":"), ensure_ascii=False)
    return base64.b64encode(zlib.compress(text.encode("utf-8", "surrogatepass"), 9)).decode("ascii")
