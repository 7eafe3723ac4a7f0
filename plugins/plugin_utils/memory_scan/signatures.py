# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signatures of known tools: the collection's, from ``content/memory_scan/signatures``, and the user's.

A file has one signature or more, each a YAML document of its own. One that is wrong takes down no other.
"""

from __future__ import annotations

import os
import pathlib
import typing as t

from ansible.utils.display import Display
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.known_tools.signatures import (
    MOST_SIGNATURES,
    SignatureError,
    compile_signature,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError
from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma import documents
from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma.documents import Document

DIRECTORY = catalogue.CONTENT / "memory_scan" / "signatures"
# A description is for people who read the file; a host has no use for it.
_NOT_FOR_HOSTS = frozenset(("description",))
_MOST_WARNINGS = 5


class Loaded(t.NamedTuple):
    """signatures: for the hosts. problems: one sentence for each signature or file that is not used."""

    signatures: list[dict[str, t.Any]]
    problems: list[str]


def load(paths: t.Sequence[str] = (), own: bool = True) -> Loaded:
    """Return what ``read`` does, and warn of what can't be used. Raises ContentError for a path that is wrong."""
    loaded = read(paths, own)
    display = Display()
    for problem in loaded.problems[:_MOST_WARNINGS]:
        display.warning(problem)
    left = len(loaded.problems) - _MOST_WARNINGS
    if left > 0:
        display.warning(f"signature_paths: {left} more signatures can't be used")
    return loaded


def read(paths: t.Sequence[str] = (), own: bool = True) -> Loaded:
    """Return signatures, and why some are not used. Raises ContentError for a path that is wrong.

    paths: files, or directories of files. own: whether the collection's are used; they are there to be trusted, so that
    one of them that is wrong raises ContentError, too.
    """
    signatures: dict[str, dict[str, t.Any]] = {}
    problems: list[str] = []
    if own:
        for file in sorted(DIRECTORY.glob("*.yml")):
            _take(file, signatures, problems)
        if problems:
            raise ContentError(problems[0])
    for file in _given(paths):
        _take(file, signatures, problems)
    if len(signatures) > MOST_SIGNATURES:
        raise ContentError(f"signature_paths: there are {len(signatures)} signatures; use {MOST_SIGNATURES} or fewer")
    return Loaded(list(signatures.values()), problems)


def _given(paths: t.Sequence[str]) -> t.Iterator[pathlib.Path]:
    seen: set[pathlib.Path] = set()
    for path in paths:
        try:
            files = documents.files_below(os.path.expanduser(path))
        except OSError as error:
            raise ContentError(f"signature_paths: {path} cannot be read: {error.strerror}") from error
        if not files:
            raise ContentError(
                f"signature_paths: there is no .yml file below {path}; give a file or directory of signatures"
            )
        for file in files:
            if file.resolve() not in seen:
                seen.add(file.resolve())
                yield file


def _take(file: pathlib.Path, signatures: dict[str, dict[str, t.Any]], problems: list[str]) -> None:
    """Add the signatures of a file to those that there are, and what is wrong with it to the problems."""
    found, wrong = documents.read(file)
    problems.extend(str(problem) for problem in wrong)
    for document in found:
        problem = _checked(document, signatures)
        if problem is not None:
            problems.append(problem)


def _checked(document: Document, signatures: dict[str, dict[str, t.Any]]) -> str | None:
    """Add a signature, or return why it can't be used."""
    name = document.data.get("id")
    said = f"signature {name}: " if isinstance(name, str) and name.isprintable() else ""
    try:
        signature = compile_signature(document.data)
    except SignatureError as error:
        return str(document.problem(f"{said}{error}", error.part))
    if signature.id in signatures:
        return str(document.problem(f"{said}there is one of this id already; rename it", "id"))
    for technique in signature.attack:
        if technique not in catalogue.load().techniques:
            return str(document.problem(f"{said}attack: {technique} is not known here; leave it out", "attack"))
    signatures[signature.id] = {key: value for key, value in document.data.items() if key not in _NOT_FOR_HOSTS}
    return None
