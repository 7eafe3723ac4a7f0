# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guide on Docker hardening names every variable with its controls, and only controls that there are."""

from __future__ import annotations

import collections
import re
import textwrap
import typing as t

import docutils.core
import docutils.nodes
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening import options
from ansible_collections.bulwark.servers.plugins.plugin_utils import benchmark_score, benchmarks, catalogue

from tests.support import paths

_TEXT = (paths.ROOT / "docs" / "docsite" / "rst" / "docker_hardening.rst").read_text(encoding="utf-8")
_ROLE = paths.ROOT / "roles" / "docker_hardening" / "meta" / "argument_specs.yml"
_CONTROLS = benchmarks.load()["cis_docker"].controls
_NUMBERS = {control.numbers["1.8.0"]: control for control in _CONTROLS.values() if "1.8.0" in control.numbers}


def section(title: str) -> str:
    """Return the text below a title, up to the next one."""
    return _TEXT.split(f"\n{title}\n{'-' * len(title)}\n")[1].split("\n---")[0]


def rows(title: str) -> list[list[str]]:
    """Return the texts of the first table below a title, without its head."""
    table = next(
        docutils.core.publish_doctree(
            re.sub(r":\w+:`[^`]*`", "", section(title)), settings_overrides={"halt_level": 5, "report_level": 5}
        ).findall(docutils.nodes.tbody)
    )
    return [
        [entry.astext() for entry in row.findall(docutils.nodes.entry)] for row in table.findall(docutils.nodes.row)
    ]


def blocks(title: str) -> t.Iterator[t.Any]:
    """Return the YAML examples below a title."""
    for found in re.findall(r"code-block:: yaml(?:\+jinja)?\n\n(.*?)\n(?=\S|\Z)", section(title), re.DOTALL):
        yield yaml.safe_load(textwrap.dedent(found))


def test_it_has_each_variable_of_the_role_with_its_default_and_its_controls() -> None:
    specified = yaml.safe_load(_ROLE.read_text())["argument_specs"]["main"]["options"]
    deciding = collections.defaultdict(set)
    for number, control in _NUMBERS.items():
        if control.parameter:
            deciding[control.parameter].add(number)
    told = {name: (default, numbers) for name, default, numbers, _meaning in rows("Say what you want")}
    assert set(told) == {name for name in specified if name.startswith("docker_hardening_")}
    for name, (default, numbers) in told.items():
        assert specified[name].get("default", "not set") == yaml.safe_load(default)
        assert set(re.findall(r"\d\.\d+(?:\.\d+)?", numbers)) == deciding[name], name


def test_its_examples_are_options_that_the_module_takes() -> None:
    (variables,) = blocks("Say what you want")
    (excepted,) = blocks("Exceptions")
    given = {name.removeprefix("docker_hardening_"): value for name, value in {**variables, **excepted}.items()}
    checked = ArgumentSpecValidator(options.collect_spec()).validate(given)
    assert checked.error_messages == []
    assert len(options.parse(checked.validated_parameters).exceptions) == 3
    for exception in given["exceptions"]:
        assert exception["control"] in {*_NUMBERS, *_CONTROLS}


def test_the_controls_that_it_names_are_there() -> None:
    named = set(re.findall(r"(?<![\d.\w\"/-])\d\.\d{1,2}(?:\.\d{1,2})?(?![\d.\w])", section("The first ten controls")))
    assert named
    assert named <= set(_NUMBERS)
    alerts = {alert.id for alert in catalogue.load()}
    reference = {"docker_controls"}
    mentioned = set(re.findall(r"``(docker_(?!hardening)\w+)``", _TEXT))
    assert mentioned - reference <= alerts


def test_it_judges_a_control_that_waits_for_a_person() -> None:
    ((play,),) = blocks("Judge what no machine can")
    judged = play["tasks"][0]["bulwark.servers.findings"]
    assert _NUMBERS[judged["control"]].method == "person"


def test_its_weights_are_those_of_the_score() -> None:
    told = re.search(r"severity of the control: (.*?)\.", section("Scores"), re.DOTALL)
    assert told is not None
    words = ", ".join(f"{name} {benchmark_score.WEIGHTS[name]}" for name in reversed(benchmark_score.WEIGHTS))
    assert told[1] == words
