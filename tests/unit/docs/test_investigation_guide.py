# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guide on investigations names every variable with its default, and its examples are right."""

from __future__ import annotations

import re
import textwrap

import docutils.core
import docutils.nodes
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.bulwark.servers.plugins.module_utils.investigation import options

from tests.support import paths

_TEXT = (paths.ROOT / "docs" / "docsite" / "rst" / "investigation.rst").read_text(encoding="utf-8")
_ROLE = paths.ROOT / "roles" / "investigation" / "meta" / "argument_specs.yml"


def test_it_has_each_variable_of_the_role_with_its_default() -> None:
    text = _TEXT.split("\nVariables\n---------\n")[1].split("\n---")[0]
    settings = {"halt_level": 5, "report_level": 5}
    table = next(docutils.core.publish_doctree(text, settings_overrides=settings).findall(docutils.nodes.tbody))
    rows = [[entry.astext() for entry in row.findall(docutils.nodes.entry)] for row in table]
    specified = yaml.safe_load(_ROLE.read_text(encoding="utf-8"))["argument_specs"]["main"]["options"]
    known = {name: fields["default"] for name, fields in specified.items() if "default" in fields}

    assert {name: yaml.safe_load(default) for name, default, _meaning in rows} == known


def test_its_tasks_are_right() -> None:
    examples = re.findall(r"code-block:: yaml\+jinja\n\n((?:   .*\n|\n)+)", _TEXT)
    tasks = [task for example in examples for task in yaml.safe_load(textwrap.dedent(example))]
    given = [
        task["bulwark.servers.investigation_info"] for task in tasks if "bulwark.servers.investigation_info" in task
    ]
    assert len(given) == 2
    for arguments in given:
        checked = ArgumentSpecValidator(options.collect_spec()).validate(arguments)
        assert checked.error_messages == []
        options.parse(checked.validated_parameters)
