# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each role has a README that says what its argument specs say."""

from __future__ import annotations

import pytest

from tests.support import paths
from tools import role_readmes

_ROLES = role_readmes.roles(paths.ROOT)


def test_every_role_has_argument_specs_and_so_a_readme() -> None:
    directories = sorted(path.name for path in (paths.ROOT / "roles").iterdir() if path.is_dir())
    assert directories == _ROLES
    assert len(_ROLES) >= 10


@pytest.mark.parametrize("role", _ROLES)
def test_the_readme_of_a_role_is_up_to_date(role: str) -> None:
    readme = (paths.ROOT / "roles" / role / "README.md").read_text(encoding="utf-8")
    assert readme == role_readmes.readme(paths.ROOT, role), "run 'python3 tools/role_readmes.py .'"


@pytest.mark.parametrize("role", _ROLES)
def test_the_guide_that_a_readme_links_is_there(role: str) -> None:
    assert (paths.ROOT / "docs" / "docsite" / "rst" / f"{role}.rst").is_file()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("With V(idle), O(a_b=c) counts.", "With `idle`, `a_b=c` counts."),
        (
            "The module M(bulwark.servers.jit_open) reads E(HOME).",
            "The module `bulwark.servers.jit_open` reads `HOME`.",
        ),
        (r"Below C(%ProgramData%\bulwark).", r"Below `%ProgramData%\bulwark`."),
        (r"One of V(f\(x\)) and C(a|b).", r"One of `f(x)` and `a\|b`."),
        (
            "See U(https://example.com/a) and L(this, https://example.com/b).",
            "See <https://example.com/a> and [this](https://example.com/b).",
        ),
        ("A snake_case, <b> & a*b|c.", r"A snake\_case, &lt;b&gt; &amp; a\*b\|c."),
        ("Words on\n  two lines.", "Words on two lines."),
        ("V(`) is a tick.", "`` ` `` is a tick."),
    ],
)
def test_the_markup_of_ansible_becomes_markdown(text: str, shown: str) -> None:
    assert role_readmes.markdown(text) == shown


def test_a_variable_in_a_variable_has_its_path_and_a_required_one_says_so() -> None:
    readme = role_readmes.readme(paths.ROOT, "jit_access")
    assert "\n| `jit_access_ports[].port` | str | required | " in readme
    assert "\n| `jit_access_ports[].protocol` | str | `tcp` | " in readme
    assert "One of `tcp`, `udp`, `both`. |\n" in readme
