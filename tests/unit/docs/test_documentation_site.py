# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation site has its navigation in groups, short names, and pictures in both themes."""

from __future__ import annotations

import pathlib
import re
import subprocess
import sys

import pytest
import yaml

from tests.support import paths
from tools import documentation_site

_DOCSITE = paths.ROOT / "docs" / "docsite"
_SECTIONS = yaml.safe_load((_DOCSITE / "extra-docs.yml").read_text(encoding="utf-8"))["sections"]
# As antsibull-docs writes it, as far as the site changes it.
_MODULE = """\
:orphan:

.. Title

bulwark.servers.{name} {kind} -- {summary}
+++++++++++++++++++++++++++++++++++++++++++++++++++++++++

.. contents::
   :local:
   :depth: 1

Synopsis
--------

It does.
"""
_CONFIGURATION = """\
project = "bulwark.servers"
html_theme = "furo"
"""


def test_every_guide_is_in_one_group() -> None:
    listed = [entry["ref"] for section in _SECTIONS for entry in section["toctree"]]
    assert sorted(listed) == sorted(path.stem for path in (_DOCSITE / "rst").glob("*.rst"))
    assert len(_SECTIONS) < 7


def test_the_first_level_of_a_group_is_short_enough_to_read() -> None:
    below = {child for children in documentation_site.nested(_SECTIONS).values() for child in children}
    for section in _SECTIONS:
        assert len([entry for entry in section["toctree"] if entry["ref"] not in below]) <= 14


def test_a_page_is_below_the_shortest_name_that_its_own_begins_with() -> None:
    names = ["audit", "audit_rules", "audit_rules_of_yours", "auditing"]
    sections = [{"title": "Guides", "toctree": [{"ref": name} for name in names]}]
    assert documentation_site.nested(sections) == {"audit": ["audit_rules", "audit_rules_of_yours"]}


def test_a_picture_takes_the_place_of_its_comment_if_there_is_one() -> None:
    text = "Before.\n\n.. picture: findings\n\nAfter.\n"
    assert documentation_site.for_the_site(text, set()) == text
    shown = documentation_site.for_the_site(text, {"findings"})
    assert re.findall(r"image:: (\S+)", shown) == ["/pictures/findings-light.png", "/pictures/findings-dark.png"]
    assert re.findall(r"class: (\S+)", shown) == ["only-light", "only-dark"]


@pytest.mark.parametrize("guide", sorted((_DOCSITE / "rst").glob("*.rst")), ids=lambda guide: guide.stem)
def test_every_picture_of_a_guide_can_be_taken(guide: pathlib.Path) -> None:
    wanted = re.findall(r"^\.\. picture:\s*(\S*)", guide.read_text(encoding="utf-8"), re.MULTILINE)
    script = (paths.ROOT / "tests" / "integration" / "report" / "pictures.py").read_text(encoding="utf-8")
    assert [name for name in wanted if f'"{name}": (' not in script] == []


def test_sphinx_renders_the_site_with_its_groups(tmp_path: pathlib.Path) -> None:
    collection, site = tmp_path / "collection", tmp_path / "site"
    (collection / "docs" / "docsite").mkdir(parents=True)
    sections = """\
sections:
  - title: Guides
    toctree:
      - ref: audit
      - ref: audit_events
  - title: Reference
    toctree:
      - ref: alert_reference
"""
    (collection / "docs" / "docsite" / "extra-docs.yml").write_text(sections)
    (collection / "playbooks").mkdir()
    playbook = (
        "---\n# SPDX-License-Identifier: GPL-3.0-or-later\n# Look at *hosts*:\n#   ansible-playbook x\n- name: A\n"
    )
    (collection / "playbooks" / "scan.yml").write_text(playbook)
    (site / "rst" / "docsite").mkdir(parents=True)
    for name in ("audit", "audit_events", "alert_reference", "getting_started", "report", "security_model"):
        (site / "rst" / "docsite" / f"{name}.rst").write_text(f":orphan:\n\nThe {name}\n{'=' * 30}\n\nText.\n")
    (site / "rst" / "environment_variables.rst").write_text("Environment variables\n=====================\n")
    content = [("look_info", "module", "Look at something"), ("look", "module", "Change it")]
    for name, kind, summary in [*content, ("watch", "role", "Watch it"), ("sum", "filter", "Add them")]:
        (site / "rst" / f"{name}_{kind}.rst").write_text(_MODULE.format(name=name, kind=kind, summary=summary))
    (site / "conf.py").write_text(_CONFIGURATION)
    assert documentation_site.main([str(collection), str(site)]) == 0
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "-b", "html", "-c", str(site), str(site / "rst")]
    result = subprocess.run([*command, str(site / "html")], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, ""), result.stderr
    front = (site / "html" / "index.html").read_text(encoding="utf-8")
    tree = front[front.index('class="sidebar-tree"') :]
    assert re.findall(r'class="caption-text">(\w+)<', tree) == ["Guides", "Reference"]
    links = re.findall(r'<li class="toctree-l(\d)[^"]*"><a class="[^"]*" href="([^"]+)"', tree)
    assert links[:2] == [("1", "docsite/audit.html"), ("2", "docsite/audit_events.html")]
    assert ("2", "look_module.html") in links
    module = (site / "html" / "look_info_module.html").read_text(encoding="utf-8")
    assert "<h1>look_info module<" in module
    assert "<strong>Look at something.</strong>" in module
    assert "unnecessary" not in module
    playbooks = (site / "html" / "playbooks.html").read_text(encoding="utf-8")
    assert "Look at *hosts*:" in playbooks
    assert "SPDX" not in playbooks
