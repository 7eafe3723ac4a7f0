# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import contextlib
import pathlib
import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils import capabilities, catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions import known_names
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Query, Selection, Store

from tests.unit.plugins.plugin_utils.controls.benchmark import BENCHMARK, NETWORK
from tests.unit.plugins.plugin_utils.store.samples import finding, record

CATALOGUE = catalogue.load()
ALL = tuple(capabilities.load())


@pytest.fixture
def store(tmp_path: pathlib.Path) -> t.Iterator[Store]:
    with contextlib.closing(Store.open(f"sqlite:///{tmp_path}/findings.db")) as opened:
        yield opened


def test_without_a_wish_all_capabilities_look() -> None:
    assert known_names.choose_capabilities(None) == ALL


def test_names_may_have_spaces_around_them_and_count_once() -> None:
    assert known_names.choose_capabilities(["file_integrity", " file_integrity ", ""]) == ("file_integrity",)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (
            ["file_integrity", "file_integrty"],
            f"there is no capability 'file_integrty'; the collection has {', '.join(ALL)}",
        ),
        ([], f"no capability is named; the collection has {', '.join(ALL)}"),
        ([" "], f"no capability is named; the collection has {', '.join(ALL)}"),
    ],
)
def test_a_capability_that_is_none_is_refused(wanted: list[str], message: str) -> None:
    with pytest.raises(known_names.UnknownNameError) as raised:
        known_names.choose_capabilities(wanted)
    assert str(raised.value) == message


def test_a_capability_is_one_of_the_collection_or_of_the_store(store: Store) -> None:
    described = {"playbook": "scan", "user": "ada", "controller": "desk", "version": "1"}
    store.start_run(hosts=["web1"], capabilities=["theirs"], now=1.0, **described)
    known_names.check_capabilities(["theirs", "export", *ALL], store)
    with pytest.raises(
        known_names.UnknownNameError, match=r"^there is no capability 'file_integrty': did you mean file_in"
    ):
        known_names.check_capabilities(["theirs", "file_integrty"], store)
    with pytest.raises(
        known_names.UnknownNameError, match=r"^there is no capability 'x': the collection has app_control,"
    ):
        known_names.check_capabilities(["x"], store)


def test_a_run_is_one_of_the_store(store: Store) -> None:
    record(store, 100, [finding("/etc/hosts")])
    known_names.check_run(None, store)
    known_names.check_run(store.runs()[0].id, store)
    with pytest.raises(
        known_names.UnknownNameError, match=r"^there is no run 'x' in the store: findings_info lists its"
    ):
        known_names.check_run("x", store)


def test_a_host_may_be_new_unless_its_name_is_similar_to_that_of_another(store: Store) -> None:
    record(store, 100, [finding("/etc/hosts", host="web1")], host="web1")
    known_names.check_hosts(["web*", "database"], store, ["db1"], may_be_new=True)
    for name, other in (("wbe1", "web1"), ("db11", "db1")):
        with pytest.raises(known_names.UnknownNameError, match=f"^there is no host '{name}': did you mean {other}"):
            known_names.check_hosts([name], store, ["db1"], may_be_new=True)


@pytest.mark.parametrize("pattern", ["fim_file_modified", "fim_*", "*", "fim_file_modifie?"])
def test_an_alert_of_the_catalogue_is_one(pattern: str, store: Store) -> None:
    known_names.check_alerts([pattern], CATALOGUE, store)


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("fim_file_modifed", r"^there is no alert 'fim_file_modifed': did you mean fim_file_modified\b.*\?$"),
        ("fim_file_modifed*", r"^there is no alert 'fim_file_modifed\*': did you mean fim_file_modified\b.*\?$"),
        ("42", r"^there is no alert '42': the reference of the alerts lists them all$"),
    ],
)
def test_a_misspelt_alert_is_named_with_what_comes_close(pattern: str, message: str, store: Store) -> None:
    with pytest.raises(known_names.UnknownNameError, match=message):
        known_names.check_alerts(["fim_file_modified", pattern], CATALOGUE, store)


def test_an_alert_of_another_version_is_known_by_what_the_store_has(store: Store) -> None:
    record(store, 100, [finding()])
    known_names.check_alerts(["test_alert_state", "test_alert_*"], CATALOGUE, store)
    store.suppress(Selection(alert="gone_*"), reason="x", by="alice", now=200, future=True)
    known_names.check_alerts(["gone_*"], CATALOGUE, store)


@pytest.mark.parametrize("names", [[], [BENCHMARK.id]])
@pytest.mark.parametrize("controls", [[], ["5.10"], ["5.9"], ["5.*", NETWORK.id]])
def test_a_control_is_known_by_its_id_and_by_its_number_in_each_edition(names: list[str], controls: list[str]) -> None:
    known_names.check_controls(names, controls, {BENCHMARK.id: BENCHMARK})


@pytest.mark.parametrize(
    ("names", "controls", "message"),
    [
        (["cis_dokcer"], [], "there is no benchmark 'cis_dokcer'; the collection has cis_docker"),
        ([], ["docker_host_network"], "there is no control 'docker_host_network': did you mean docker_host_network_s"),
        ([], ["99.*"], "there is no control '99.*': the guide of the benchmark lists them all"),
    ],
)
def test_a_control_that_is_none_is_refused(names: list[str], controls: list[str], message: str) -> None:
    with pytest.raises(known_names.UnknownNameError) as raised:
        known_names.check_controls(names, controls, {BENCHMARK.id: BENCHMARK})
    assert str(raised.value).startswith(message)


def test_a_name_that_a_host_chose_reaches_no_terminal_as_it_is(store: Store) -> None:
    record(store, 100, [finding("/etc/passwd\x1b[2J"), finding("/etc/" + "x" * 5_000)])
    with pytest.raises(known_names.UnknownNameError) as raised:
        known_names.check_subjects(["/etc/passwd2J"], store, Query())
    assert str(raised.value) == "no finding is about '/etc/passwd2J': did you mean /etc/passwd\\x1b[2J?"


def test_a_name_that_would_take_hours_to_compare_is_left_out(store: Store) -> None:
    long = "/" + "ab" * 4_000
    record(store, 100, [finding(f"{long}{number}") for number in range(30)])
    begun = time.process_time()
    known_names.check_subjects([f"/{'ba' * 4_000}"], store, Query())
    assert time.process_time() - begun < 5


def test_a_pattern_that_is_the_name_of_a_file_is_refused(store: Store) -> None:
    record(store, 100, [finding("/srv/*"), finding("/srv/shell.php")])
    with pytest.raises(known_names.UnknownNameError, match=r"'/srv/\*' is the subject of a finding, and as a pattern"):
        known_names.check_literal("/srv/*", store)
    for subject in ("/srv/shell.php", "/srv/?*", "/srv/shell.ph?"):
        known_names.check_literal(subject, store)
