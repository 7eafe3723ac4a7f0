# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: E402 (Ansible wants the documentation above the imports)
"""Find variables that nobody reads, because their names are nearly those of options."""

from __future__ import annotations

DOCUMENTATION = r"""
name: misspelt
short_description: Name the variables that look like misspelt options
version_added: 0.1.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - Ansible takes a variable with any name, so that C(bulwark_failon) in place of C(bulwark_fail_on) would change
    nothing and say nothing.
  - Looks at the names of the host's variables that begin with O(prefix). Returns a sentence for each that is nearly one
    of the options, and warns of those that are like none.
  - The collection's playbooks and roles use it before they do anything.
options:
  _terms:
    description: Names of the options.
    type: list
    elements: str
    required: true
  prefix:
    description: What the names of all options begin with.
    type: str
    required: true
  others:
    description: Names that are no options, and set by whoever asks.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Refuse misspelt options
  ansible.builtin.assert:
    that: misspelt | length == 0
    fail_msg: "{{ misspelt | join(' ') }}"
  vars:
    misspelt: "{{ query('bulwark.servers.misspelt', 'shop_port', 'shop_name', prefix='shop_') }}"
"""

RETURN = r"""
_raw:
  description: A sentence for each variable that is nearly an option; empty when there are none.
  type: list
  elements: str
"""

import difflib
import typing as t

from ansible.plugins.lookup import LookupBase
from ansible.utils.display import Display

# Of 1: so alike are 'failon' and 'fail_on' (0.92) or 'widht' and 'width' (0.8), and not 'store_url' and 'store' (0.71).
_ALIKE = 0.8


class LookupModule(LookupBase):  # type: ignore[misc]
    """Compare the names of variables, without looking at their values."""

    def run(self, terms: t.Any, variables: t.Any = None, **options: t.Any) -> list[str]:
        self.set_options(var_options=variables, direct=options)
        prefix, known = self.get_option("prefix"), list(map(str, self._flatten(terms)))
        expected = {*known, *self.get_option("others")}
        found = []
        for name in sorted(name for name in variables or () if name.startswith(prefix) and name not in expected):
            meant = likeliest(name, known, prefix)
            if meant:
                found.append(f"There is no option '{name}'; {meant} is probably meant.")
            else:
                Display().warning(f"'{name}' is no option of bulwark.servers: it changes nothing there")
        return found


def likeliest(name: str, known: t.Iterable[str], prefix: str) -> str | None:
    """Return which of the known names is meant by another one, None when none is like it; the prefix doesn't count."""
    rests = [option[len(prefix) :] for option in known if option.startswith(prefix)]
    alike = difflib.get_close_matches(name[len(prefix) :], rests, 1, _ALIKE)
    return prefix + alike[0] if alike else None
