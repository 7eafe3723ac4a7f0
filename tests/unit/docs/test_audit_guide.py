# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guide on audit analytics has every variable of the role with its default, as the role's own files do."""

from __future__ import annotations

import pathlib
import re

import pytest
import yaml

from tests.support import paths

_GUIDE = paths.ROOT / "docs" / "docsite" / "rst" / "audit.rst"
_ROLE = paths.ROOT / "roles" / "audit"
# These depend on the distribution, on the account, or are a list that words describe.
_IN_WORDS = {"audit_packages", "audit_state_dir", "audit_automation_units"}


def test_it_has_each_variable_of_the_role_with_its_default() -> None:
    rows = re.findall(r"^   \* - ``(audit_\w+)``\n     - (.+)$", _GUIDE.read_text(encoding="utf-8"), re.MULTILINE)
    options = yaml.safe_load((_ROLE / "meta" / "argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
    documented = {name: option.get("default") for name, option in options.items() if name.startswith("audit_")}
    assert sorted(name for name, _default in rows if name in documented) == sorted(documented)
    defaults = {name: yaml.safe_load(default.strip("`")) for name, default in rows if name in documented}
    for name in documented.keys() - _IN_WORDS:
        assert defaults[name] == documented[name], name
    given = yaml.safe_load((_ROLE / "defaults" / "main.yml").read_text())
    assert given.keys() == documented.keys()
    for name in documented.keys() - {"audit_packages"}:
        assert given[name] == documented[name], name


@pytest.mark.parametrize("guide", sorted(_GUIDE.parent.glob("*.rst")), ids=lambda path: path.stem)
def test_no_guide_has_the_markup_of_modules(guide: pathlib.Path) -> None:
    """M() and the like are shown as they are outside of the documentation of modules."""
    assert not re.findall(r"\b[MOVC]\([a-z][\w.]+\)", guide.read_text(encoding="utf-8"))
