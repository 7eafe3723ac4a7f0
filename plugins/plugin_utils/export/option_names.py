# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of options that do not exist, with the option that is probably meant and the destination that has it.

Ansible's own message lists the wrong names of all destinations together and names no destination.
"""

from __future__ import annotations

import difflib
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.export import kinds
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.shown import visible

_LONGEST_NAME = 80

Spec = t.Mapping[str, t.Mapping[str, t.Any]]


def problem(arguments: t.Mapping[str, t.Any], spec: Spec) -> str | None:
    """Return which names in a task's arguments are no options, None if all are.

    spec: the options of the module, among them ``destinations`` for the module that sends. Values are not looked at:
    whatever is no mapping has no names.
    """
    sentences = [_sentence(name, spec) for name in arguments if name not in spec]
    of_destinations: Spec = spec.get("destinations", {}).get("options", {})
    entries = arguments.get("destinations") if of_destinations else None
    for number, entry in enumerate(entries if isinstance(entries, list) else (), 1):
        if isinstance(entry, t.Mapping):
            name = f"'{visible(entry['name'], _LONGEST_NAME)}'" if "name" in entry else f"number {number}"
            sentences += [f"destination {name}: {sentence}" for sentence in _of_destination(entry, of_destinations)]
    return "; ".join(sentences) or None


def _of_destination(entry: t.Mapping[str, t.Any], spec: Spec) -> t.Iterator[str]:
    chosen = [kind for kind in kinds.KINDS if isinstance(entry.get(kind), t.Mapping)]
    for name in entry:
        if name not in spec:
            owner = next((kind for kind in chosen if name in spec[kind]["options"]), None)
            yield _sentence(name, spec, f"write it below {owner}" if owner else None)
    for kind in chosen:
        options = spec[kind]["options"]
        for name in entry[kind]:
            if name not in options:
                advice = f"write it beside {kind}, not below it" if name in spec else None
                yield f"{kind}: {_sentence(name, options, advice)}"


def _sentence(name: t.Any, spec: Spec, advice: str | None = None) -> str:
    """Return that a name is no option, and what to do. advice: for a name that is an option elsewhere."""
    shown = f"'{visible(name, _LONGEST_NAME)}' is not an option"
    if advice:
        return f"{shown} there; {advice}"
    alike = difflib.get_close_matches(str(name), spec, n=1)
    if alike:
        return f"{shown}; did you mean '{alike[0]}'?"
    return f"{shown}; ansible-doc describes each option"
