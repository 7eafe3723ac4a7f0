# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Misspelt variables are found wherever they are set, and other people's variables are left alone."""

from __future__ import annotations

import pathlib
import re

import pytest
import yaml
from ansible.utils.display import Display
from ansible_collections.bulwark.servers.plugins.plugin_utils import capabilities, catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils import misspelt as misspelt_names
from ansible_collections.bulwark.servers.plugins.plugin_utils.misspelt import of_role, shared_options

from tests.support import paths

ROLES = list(capabilities.load())


def misspelt(*names: str) -> list[str]:
    return [sentence for role in ROLES for sentence in of_role(names, role)]


def options(role: str) -> list[str]:
    file = paths.ROOT / "roles" / role / "meta" / "argument_specs.yml"
    return list(yaml.safe_load(file.read_text(encoding="utf-8"))["argument_specs"]["main"]["options"])


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("jit_access_port", "jit_access_ports"),
        ("network_hardening_rule", "network_hardening_rules"),
        ("jit_acces_ports", "jit_access_ports"),
        ("jit_acess_port", "jit_access_ports"),
        ("jti_access_ports", "jit_access_ports"),
        ("jitaccess_ports", "jit_access_ports"),
        ("network_hardning_mode", "network_hardening_mode"),
        ("file_integrety_watches", "file_integrity_watches"),
        ("adit_rules_state", "audit_rules_state"),
        ("audti_groups", "audit_groups"),
    ],
)
def test_a_misspelt_variable_is_found(name: str, meant: str) -> None:
    assert misspelt(name) == [f"There is no option '{name}'; did you mean {meant}?"]


@pytest.mark.parametrize(
    "name",
    [
        "auditd_rules",
        "auditd_package",
        "auditd_rules_file",
        "audit",
        "access_ports",
        "network_mode",
        "host_hardening_rules",
        "jit_ports",
        "firewall_hardening_mode",
        "integrity_watches",
        "ansible_port",
    ],
)
def test_somebody_else_s_variable_is_left_alone(name: str) -> None:
    assert misspelt(name) == []


def test_no_option_and_nothing_that_the_collection_sets_is_taken_for_a_misspelt_one() -> None:
    names = {name for role in ROLES for name in options(role)}
    for file in sorted([*(paths.ROOT / "playbooks").glob("*.yml"), *(paths.ROOT / "roles").glob("*/tasks/*.yml")]):
        names.update(re.findall(r"\b[a-z]+_[a-z_]+\b", file.read_text(encoding="utf-8")))
    assert len(names) > 200
    assert misspelt(*names) == []


def test_the_sync_of_vulnerabilities_and_its_role_know_the_variables_of_each_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (play,) = yaml.safe_load((paths.ROOT / "playbooks/vulnerability_sync.yml").read_text(encoding="utf-8"))
    (check,) = (task for task in play["tasks"] if "ansible.builtin.validate_argument_spec" in task)
    own = check["ansible.builtin.validate_argument_spec"]["argument_spec"]
    warnings: list[str] = []
    monkeypatch.setattr(Display, "warning", lambda _display, message: warnings.append(message))
    assert of_role(list(own), "vulnerability") == warnings == []
    words = play["tasks"][0]["vars"]["vulnerability_misspelt"]
    known = {name for name in options("vulnerability") if name.startswith("vulnerability_")}
    assert {*known, *own} <= set(re.findall(r"'(vulnerability_[a-z_]+)'", words))


def documented(playbook: pathlib.Path) -> set[str]:
    """Return the options that the comment at the beginning of a playbook describes, of those with our prefix."""
    return set(re.findall(r"^#   (bulwark_[a-z_]+)  ?", playbook.read_text(encoding="utf-8"), re.MULTILINE))


def queries(playbook: pathlib.Path) -> list[str]:
    """Return what a playbook asks ``misspelt`` about our prefix, as text."""
    text = playbook.read_text(encoding="utf-8")
    return re.findall(r"query\('bulwark\.servers\.misspelt',[^)]*prefix='bulwark_'[^)]*", text)


PLAYBOOKS = [playbook for playbook in sorted((paths.ROOT / "playbooks").glob("*.yml")) if queries(playbook)]


@pytest.mark.parametrize("playbook", PLAYBOOKS, ids=lambda playbook: playbook.stem)
def test_each_option_of_a_playbook_is_entered_once(playbook: pathlib.Path) -> None:
    (query,) = queries(playbook)
    own = re.findall(r"'(bulwark_[a-z_]+)'", query.partition("prefix=")[0])
    shared = shared_options() if "shared=true" in query else []
    assert not set(own) & set(shared)
    assert documented(playbook) <= {*own, *shared}


def test_each_shared_option_is_one_of_a_playbook() -> None:
    assert len(PLAYBOOKS) == 12
    described = {name for playbook in PLAYBOOKS for name in documented(playbook)}
    shared = shared_options()
    assert len(shared) == len(set(shared)) > 10
    assert set(shared) <= described


@pytest.mark.parametrize("text", ["names: true", "names: [[bulwark_store]]", "- bulwark_store", "", "names: [1]"])
def test_a_wrong_list_of_shared_options_is_named(
    text: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "shared_options.yml"
    file.write_text(text, encoding="utf-8")
    monkeypatch.setattr(misspelt_names, "FILE", file)
    with pytest.raises(catalogue.ContentError, match=r"shared_options\.yml: names: a list is needed"):
        shared_options()


def test_what_one_playbook_sets_is_no_misspelt_option_of_the_next() -> None:
    ours = misspelt_names.set_by_playbooks()
    assert {"bulwark_run", "bulwark_scanned", "bulwark_shown", "bulwark_protected"} <= ours
    assert "bulwark_failon" not in ours
