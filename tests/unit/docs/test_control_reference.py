# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of controls have every control of the benchmark; test_alert_reference.py has the page checked by tools."""

from __future__ import annotations

import dataclasses
import importlib
import pathlib
import re
import types

import docutils.core
import docutils.nodes
import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils import benchmarks, catalogue

from tests.support import paths

BENCHMARK = benchmarks.load()["cis_docker"]


@pytest.fixture
def reference(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    monkeypatch.syspath_prepend(str(paths.ROOT / "tools"))
    return importlib.import_module("control_reference")


def parse(text: str) -> docutils.nodes.document:
    """Return the parsed text without Sphinx's references; what docutils has to say about it is an error."""
    settings = {"halt_level": 2, "report_level": 2, "warning_stream": False}
    return docutils.core.publish_doctree(text.replace(":ref:", ""), settings_overrides=settings)


def test_each_control_has_a_row_in_its_own_words(reference: types.ModuleType) -> None:
    load = catalogue.load()
    page = reference.page(BENCHMARK, load.alert, {"docker_audit_runc": ["unit/test_host.py"]})
    rows = list(parse(page).findall(docutils.nodes.row))
    assert len(rows) == len(BENCHMARK.controls) + len({control.section for control in BENCHMARK.controls.values()})
    texts = [" ".join(row.astext().split()) for row in rows]
    for control in BENCHMARK.controls.values():
        (text,) = [text for text in texts if f" {control.title} <" in text]
        assert text.startswith(f"{control.numbers[BENCHMARK.editions[0]]} ")
        for words in (control.evidence, load.alert(control.id).remediation, control.question, control.parameter):
            assert " ".join((words or "").replace("``", "").split()) in text
        assert text.endswith("unit/test_host.py" if control.id == "docker_audit_runc" else "none")


def test_numbers_are_in_their_order_and_differ_by_edition(reference: types.ModuleType) -> None:
    page = reference.page(BENCHMARK, catalogue.load().alert, {})
    numbers = [tuple(map(int, number.split("."))) for number in re.findall(r"\\* - \\*\\*([0-9.]+)\\*\\*", page)]
    assert numbers == sorted(numbers)
    assert "docker_api_without_tls>` (level 1, critical, 1.6.0: 2.7)" in page
    assert "docker_storage_devicemapper>` (level 1, medium, 1.6.0: none)" in page
    assert "docker_audit_runc>` (level 2, medium)" in page


def test_text_that_looks_like_markup_stays_as_it_is(reference: types.ModuleType) -> None:
    control = dataclasses.replace(
        BENCHMARK.controls["docker_audit_runc"], title="A *b* |c|_", evidence="`x`_ and ``y*z`` [1]_"
    )
    benchmark = dataclasses.replace(BENCHMARK, controls={control.id: control})
    text = parse(reference.page(benchmark, catalogue.load().alert, {})).astext()
    assert "A *b* |c|_" in text
    assert "`x`_ and y*z [1]_" in text


def test_tests_are_found_by_the_controls_that_they_name(reference: types.ModuleType, tmp_path: pathlib.Path) -> None:
    table = "{one_id: {test: tests/integration/docker/test_b.py, kind: engine, also: tests/unit/test_a.py}}"
    for name, text in (
        ("unit/test_a.py", 'x("one_id", "no_id")'),
        ("unit/test_c.py", '["one_id"]'),
        ("unit/made.py", '["one_id"]'),
        ("integration/docker/controls.yml", table),
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text(text)
    assert reference.tests_of(["one_id", "two_id"], tmp_path) == {
        "one_id": ["integration/docker/test_b.py (a real engine)", "unit/test_a.py", "unit/test_c.py"]
    }
