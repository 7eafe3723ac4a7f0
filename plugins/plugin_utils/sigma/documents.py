# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rule files as documents that know where they come from."""

from __future__ import annotations

import dataclasses
import pathlib
import typing as t

import yaml
from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma.problems import Problem

# SigmaHQ's largest rule has 30 kB; what is larger is no rule.
_LARGEST = 1 << 20
_ENDINGS = (".yml", ".yaml")


@dataclasses.dataclass(frozen=True)
class Document:
    """One rule of a file: a YAML document, or one of a list in it.

    lines: where its keys are; those of a mapping in it as ``detection.condition``. own: one of the collection's rules.
    """

    path: str
    line: int
    data: dict[str, t.Any]
    lines: t.Mapping[str, int]
    own: bool

    def problem(self, reason: str, part: str = "") -> Problem:
        """Return a problem of this document, at the line of ``part`` or the nearest key around it."""
        while part and part not in self.lines:
            part = part.rpartition(".")[0]
        return Problem(self.path, self.lines.get(part, self.line), reason)


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Dates stay text: nothing here reads them, and one that is none should not take a rule down."""


_Loader.yaml_implicit_resolvers = {
    letter: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for letter, resolvers in _Loader.yaml_implicit_resolvers.items()
}


def files_below(path: str) -> list[pathlib.Path]:
    """Return the rule files that a path names: itself, or all YAML files below it, sorted. Raises OSError."""
    root = pathlib.Path(path)
    if not root.is_dir():
        root.stat()
        return [root]
    return sorted(
        file
        for file in root.rglob("*")
        if file.suffix in _ENDINGS
        and file.is_file()
        and not any(part.startswith(".") for part in file.relative_to(root).parts)
    )


def read(path: pathlib.Path, own: bool = False) -> tuple[list[Document], list[Problem]]:
    """Return the documents of a file, and why it, or what is in it, can't be used."""
    shown = str(path)
    try:
        if path.stat().st_size > _LARGEST:
            return [], [Problem(shown, None, f"it has more than {_LARGEST >> 20} MiB; give a file of rules")]
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        return [], [Problem(shown, None, f"cannot be read: {error}")]
    return parse(text, shown, own)


def parse(text: str, path: str, own: bool = False) -> tuple[list[Document], list[Problem]]:
    """Return the documents in the text of a file; path: what to call it."""
    documents, problems = [], []
    loader = _Loader(text)
    try:
        while loader.check_node():
            for node in _rules(loader.get_node()):
                line = node.start_mark.line + 1
                if not isinstance(node, yaml.MappingNode):
                    problems.append(Problem(path, line, "a rule is a mapping"))
                    continue
                lines = dict(_lines(node, ""))
                duplicate = _duplicate(node)
                if duplicate is not None:
                    problems.append(Problem(path, duplicate[1], f"the key '{duplicate[0]}' is there twice; remove one"))
                    continue
                data = loader.construct_document(node)
                documents.append(Document(path, line, data, lines, own))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        reason = getattr(error, "problem", None) or str(error).partition("\n")[0]
        problems.append(Problem(path, mark.line + 1 if mark else None, f"no valid YAML: {reason}"))
    except RecursionError:
        problems.append(Problem(path, None, "no valid YAML: it is nested too deeply"))
    finally:
        loader.dispose()
    return documents, problems


def _rules(node: yaml.Node) -> t.Sequence[yaml.Node]:
    """Return the rules of a document: it is one, or a list of them; none in what a trailing --- leaves."""
    if isinstance(node, yaml.SequenceNode):
        return t.cast("t.Sequence[yaml.Node]", node.value)
    return [] if isinstance(node, yaml.ScalarNode) and not node.value else [node]


def _lines(node: yaml.MappingNode, prefix: str) -> t.Iterator[tuple[str, int]]:
    for key, value in node.value:
        name = f"{prefix}{key.value}"
        yield name, key.start_mark.line + 1
        if not prefix and isinstance(value, yaml.MappingNode):
            yield from _lines(value, f"{name}.")


def _duplicate(node: yaml.MappingNode) -> tuple[str, int] | None:
    """Return a key that a mapping has twice, anywhere in the document, and its line."""
    pending, seen = [t.cast("yaml.Node", node)], set()
    while pending:
        current = pending.pop()
        if id(current) in seen:  # aliases share nodes
            continue
        seen.add(id(current))
        if isinstance(current, yaml.SequenceNode):
            pending += current.value
        elif isinstance(current, yaml.MappingNode):
            keys: set[str] = set()
            for key, value in current.value:
                if isinstance(key, yaml.ScalarNode):
                    if key.value in keys:
                        return key.value, key.start_mark.line + 1
                    keys.add(key.value)
                pending.append(value)
    return None
