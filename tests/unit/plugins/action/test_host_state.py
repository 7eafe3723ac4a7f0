# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The registry says what is state, variables say where, and the store forgets what was removed and nothing else."""

from __future__ import annotations

import contextlib
import pathlib
import types
import typing as t

import pytest
import yaml
from ansible_collections.bulwark.servers.plugins.action import host_state
from ansible_collections.bulwark.servers.plugins.modules import host_state as doc
from ansible_collections.bulwark.servers.plugins.plugin_utils import capabilities
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.module import alone
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store

from tests.unit.plugins.plugin_utils.store.samples import checked, start

EVERY = {name for capability in capabilities.load().values() for name in capability.state}
SHARED = {"firewall", "simulation"}


def _action(check_mode: bool = False) -> t.Any:
    action = t.cast("t.Any", host_state.ActionModule.__new__(host_state.ActionModule))
    action._task = types.SimpleNamespace(action="bulwark.servers.host_state", check_mode=check_mode, delegate_to=None)
    return action


def _names(**options: t.Any) -> dict[str | None, set[str]]:
    """Return what is removed in each directory."""
    found: dict[str | None, set[str]] = {}
    for root in _action().module_arguments({"state": "absent", **options}, {})["_roots"]:
        found.setdefault(root["path"], set()).update(root["names"])
        assert set(root["known"]) == {*EVERY, *SHARED, "scan"}
    return found


def test_the_options_are_the_documented_ones() -> None:
    documented = yaml.safe_load(doc.DOCUMENTATION)["options"]
    plain = {
        name: {key: value for key, value in fields.items() if key != "description"}
        for name, fields in documented.items()
    }
    spec = host_state.ActionModule.ARGUMENTS["argument_spec"]
    assert spec == plain


def test_all_state_is_removed_where_it_is() -> None:
    assert _names() == {None: {*EVERY, *SHARED, "scan"}}
    assert _names(state_dirs={"audit": "", "jit_access": None}) == _names()
    own = {*EVERY, *SHARED, "scan"} - {"jit"}
    assert _names(state_dirs={"jit_access": "/srv/x"}) == {None: own, "/srv/x": {"jit", *SHARED}}
    everywhere = dict.fromkeys(capabilities.load(), "/srv/x")
    assert _names(state_dirs=everywhere) == {None: {"scan"}, "/srv/x": {*EVERY, *SHARED}}


def test_what_is_shared_stays_with_any_capability() -> None:
    assert _names(capabilities="jit_access, audit") == {None: {"jit", "audit", "checkpoints"}}
    assert _names(capabilities=["jit_access"], state_dirs={"audit": "/srv/x"}) == {None: {"jit"}, "/srv/x": set()}
    assert _names(capabilities=list(capabilities.load())) == _names()


@pytest.mark.parametrize("options", [{"capabilities": ["jit"]}, {"state_dirs": {"jit": "/srv/x"}}])
def test_a_capability_that_there_is_not_is_refused(options: dict[str, t.Any]) -> None:
    with pytest.raises(ContentError, match="there is no capability 'jit'; the collection has app_control, "):
        _names(**options)


@pytest.mark.parametrize(
    ("removed", "check_mode", "token"),
    [
        (["checkpoints"], False, None),
        (["checkpoints"], True, "t1"),
        (["jit"], False, "t1"),
        (["app_control"], False, "t1"),
        ([], False, "t1"),
    ],
)
def test_logs_are_read_anew_once_it_is_gone_how_far_they_were(
    removed: list[str], check_mode: bool, token: str | None, tmp_path: pathlib.Path
) -> None:
    url = f"sqlite:///{tmp_path}/findings.db"
    with contextlib.closing(Store.open(url)) as store:
        said = {"name": "audit_events", "token": "t1", "after": None}
        store.record(start(store, 100), "web1", "audit", [], [checked()], 100, said)
        store.propose_seal("web1", "shop", "aa", by="alice", reason="first", now=100)
    action = _action(check_mode)
    arguments = action.module_arguments({"state": "absent", "store": url}, {})
    answer = {"changed": True, "removed": [{"name": name} for name in removed]}
    result = alone(action.run_module(arguments, {"inventory_hostname": "web1"}), lambda _request: answer)
    with contextlib.closing(Store.open(url, mode="read")) as store:
        assert store.checkpoint("web1", "audit_events") == token
        assert store.seal_names("web1") == ["shop"]
    notices = result.get("notices") or []
    is_told = bool(removed) and not check_mode
    assert [notice.startswith("The store still has the seal of the baseline 'shop' of web1") for notice in notices] == (
        [True] if is_told else []
    )


def test_a_store_that_cannot_be_used_is_a_warning() -> None:
    action = _action()
    arguments = action.module_arguments({"state": "absent", "store": "mysql://x/y"}, {})
    answer = {"changed": True, "removed": [{"name": "checkpoints"}], "notices": ["Its own."]}
    result = alone(action.run_module(arguments, {"inventory_hostname": "web1"}), lambda _request: answer)
    first, second = result["notices"]
    assert first.startswith(
        "The store still has how far the logs of this host were read, and its seals: the store works"
    )
    assert second == "Its own."
