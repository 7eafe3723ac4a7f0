# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that programs generate when packages change: caches, links, bytecode, boot images.

No package has a digest for them, so each kind names the packages that must really have come, gone or changed version
since the baseline, and a check of what the file says where there is one. The rules are content:
``content/file_integrity/derived.yml``. Where only signatures count, a check must prove the file itself.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity import model
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.classify.checks import (
    CHECKS,
    HARMLESS_CHECKS,
    SIGNED_CHECKS,
)
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.classify.facts import Facts
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.watches import globs


@dataclasses.dataclass(frozen=True)
class DerivedRule:
    """One kind of generated file.

    paths, exclude: compiled globs. packages: globs over package names, of which one must have changed. check: name of a
    function in ``CHECKS``. types: of entries that can be explained.
    """

    name: str
    description: str
    paths: tuple[tuple[globs.Component, ...], ...]
    packages: tuple[str, ...]
    check: str
    types: frozenset[str]
    exclude: tuple[tuple[globs.Component, ...], ...]


def parse_derived(rules: t.Sequence[t.Mapping[str, t.Any]]) -> tuple[DerivedRule, ...]:
    """Return the rules that the controller sent; raise ValueError, naming the rule, for what is none."""
    parsed = []
    for rule in rules:
        check = rule.get("check", "none")
        if check not in CHECKS:
            raise ValueError(
                "derived rule '%s': check '%s' is not one of %s" % (rule["name"], check, ", ".join(CHECKS))
            )
        parsed.append(
            DerivedRule(
                name=rule["name"],
                description=rule["description"],
                paths=tuple(globs.compiled(globs.components(path)) for path in rule["paths"]),
                packages=tuple(rule.get("packages", ("*",))),
                check=check,
                types=frozenset(rule.get("types", (model.FILE, model.LINK))),
                exclude=tuple(globs.compiled(globs.components(path)) for path in rule.get("exclude", ())),
            )
        )
    return tuple(parsed)


def derived(facts: Facts) -> DerivedRule | None:
    """Return the rule by which a change of content (or creation, or deletion) follows from package changes."""
    components = facts.path.split(b"/")[1:]
    for rule in t.cast("tuple[DerivedRule, ...]", facts.context.derived):
        covers = any(_matches(path, components) for path in rule.paths)
        if covers and not any(_matches(path, components) for path in rule.exclude) and _follows(rule, facts):
            return rule
    return None


def _follows(rule: DerivedRule, facts: Facts) -> bool:
    entry = facts.after or facts.before
    if entry is None or entry.type not in rule.types:
        return False
    if facts.signed_only and rule.check in HARMLESS_CHECKS:
        return HARMLESS_CHECKS[rule.check](facts)
    # A signature says nothing of what is gone. A name for a watched neighbour is no loss: the neighbour is still there.
    if facts.signed_only and facts.after is None and rule.check != "sibling_link":
        return False
    check = (SIGNED_CHECKS if facts.signed_only else CHECKS).get(rule.check)
    return check is not None and check(facts) and facts.changed_packages(rule.packages)


def _matches(pattern: t.Sequence[globs.Component], components: t.Sequence[bytes]) -> bool:
    if not pattern:
        return not components
    first, rest = pattern[0], pattern[1:]
    if first is globs.ANY_DEPTH:
        return any(_matches(rest, components[skipped:]) for skipped in range(len(components) + 1))
    if not components:
        return False
    name = components[0]
    fits = first == name if isinstance(first, bytes) else first.match(globs.to_text(name)) is not None
    return fits and _matches(rest, components[1:])
