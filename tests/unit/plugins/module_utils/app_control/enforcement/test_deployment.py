# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a policy becomes on a host, what is shown of it, and the steps that put it on trial and undo it."""

from __future__ import annotations

import pathlib

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils._state import DamagedError
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement import (
    absent,
    apply,
    deployment,
    on_trial,
    state,
)
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement.policy import ENFORCE, Policy
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement.state import Before, Deployed
from ansible_collections.bulwark.servers.plugins.module_utils.fapolicyd import daemon, staging
from ansible_collections.bulwark.servers.plugins.module_utils.fapolicyd.daemon import Installed
from ansible_collections.bulwark.servers.plugins.module_utils.fapolicyd.trust import Trusted
from ansible_collections.bulwark.servers.plugins.module_utils.firewall import records
from ansible_collections.bulwark.servers.plugins.module_utils.host_trial.steps import Exchange, Kill, Run, Unmount

POLICY = Policy(
    ENFORCE,
    ("allow perm=any all : trust=1", "deny_audit perm=execute all : all"),
    tuple(Trusted(f"/usr/bin/{number}", number, "a" * 64) for number in range(300)),
    {"permissive": "0", "integrity": "sha256"},
)
BEFORE = Before({"fapolicyd.conf": b"permissive = 1\n", "compiled.rules": None}, {"fapolicyd.conf": 5}, False, True, ())
DEPLOYED = Deployed(
    ENFORCE, {"fapolicyd.conf": "0" * 64}, POLICY.settings, BEFORE, "packed", {"mode": ENFORCE}, 1.0, "t"
)


@pytest.fixture
def directory(tmp_path: pathlib.Path) -> str:
    (tmp_path / "rules.d").mkdir()
    (tmp_path / "fapolicyd.conf").write_text("# theirs\npermissive = 1\nq_size = 800\n")
    (tmp_path / "rules.d" / "50-others.rules").write_text("allow perm=open all : path=/etc/motd\n")
    (tmp_path / deployment.UPGRADE).write_text("%bulwark_upgrade=x\n")
    return str(tmp_path)


def test_settings_of_others_stay_and_their_rules_come_after_ours(directory: str) -> None:
    files = deployment.files(POLICY, directory)
    assert sorted(files) == sorted([*deployment.OWN, deployment.CONFIGURATION, deployment.COMPILED])
    assert b"q_size = 800\n" in files[deployment.CONFIGURATION]
    assert files[deployment.COMPILED].splitlines()[1:] == [
        b"allow perm=any all : trust=1",
        b"deny_audit perm=execute all : all",
        b"allow perm=open all : path=/etc/motd",
    ]
    assert deployment.compiled(directory, None).splitlines()[1:] == [b"allow perm=open all : path=/etc/motd"]


def test_a_message_about_a_line_of_compiled_rules_names_the_file_of_others(directory: str) -> None:
    (pathlib.Path(directory) / "rules.d" / "50-others.rules").write_text("\n# theirs\nallow perm=opn all : all\n")
    own = deployment.files(POLICY, directory)[deployment.RULES]
    file = f"line 3 of {directory}/rules.d/50-others.rules"
    for shown, named in (
        ("Access permission (opn) is unknown in line 4", f"Access permission (opn) is unknown in {file}"),
        ("rules: line:4: assign_subject: x", f"rules: {file}: assign_subject: x"),
        ("rules.conf:4: parse_set_line: x", f"{file}: parse_set_line: x"),
        # Of ours, nothing is on the host.
        ("Subject is missing in line 3", "Subject is missing in line 3"),
        ("Subject is missing in line 5", "Subject is missing in line 5"),
    ):
        assert deployment.located(shown, directory, own) == named


def test_earlier_deployments_of_other_accounts_are_known_to_later_ones() -> None:
    way = {"transport": "ssh", "remote_user": "ann", "become_user": "root", "remote_tmp": "~/.ansible/tmp"}
    noted = None
    for name in ("bob", *(f"u{number}" for number in range(20)), "ann", "bob"):
        ways = apply._with_earlier({**way, "remote_user": name}, noted)
        noted = DEPLOYED._replace(connection=ways)
    names = [each["remote_user"] for each in (ways, *ways["earlier"])]
    assert names == ["bob", "ann", *(f"u{number}" for number in range(19, 12, -1))]
    assert not any("earlier" in each for each in ways["earlier"])
    # The same account comes with another become method.
    again = apply._with_earlier({**way, "remote_user": "bob", "transport": "paramiko"}, noted)
    assert again["earlier"] == ways["earlier"]


def test_difference_has_the_lines_of_trust_that_differ_and_not_all(directory: str) -> None:
    files = deployment.files(POLICY, directory)
    first = deployment.difference(deployment.present(directory, files), files)
    assert "rules.d/00-bulwark.rules: deny_audit perm=execute all : all\n" in first["after"]
    assert first["after"].endswith("trust.d/bulwark.trust: and 100 more\n")
    less = deployment.files(POLICY._replace(trusted=POLICY.trusted[1:]), directory)
    second = deployment.difference(files, less)
    assert second["before"].count("trust.d") == 1
    assert second["after"].count("trust.d") == 0


def test_the_way_back_begins_with_the_signal_and_needs_no_file_before_the_host_is_free() -> None:
    plan = on_trial.plan(Installed("/usr/sbin/fapolicyd", "1.3.4"), was_active=True, seconds=60)
    assert plan.back[:2] == (Kill(("/usr/sbin/fapolicyd",)), Unmount(daemon.DIRECTORY))
    first_command = next(index for index, step in enumerate(plan.back) if isinstance(step, Run))
    assert not any(isinstance(step, Run) for step in plan.back[:first_command])
    assert plan.back[-1] == Run(daemon.START, daemon.STARTING, is_start=True)
    assert plan.forward[:2] == (Unmount(daemon.DIRECTORY), Exchange(daemon.DIRECTORY, staging.STAGED))
    # What was prepared is removed, unless it is in use.
    discard = plan.back[-2]
    assert isinstance(discard, Run)
    assert discard.command[0] == "rm"
    assert set(discard.unmoved) == {daemon.DIRECTORY, staging.STAGED}
    idle = on_trial.plan(Installed("/usr/sbin/fapolicyd", "1.3.4"), was_active=False, seconds=60)
    assert not any(isinstance(step, Run) and step.is_start for step in idle.back)


def test_state_is_read_as_it_was_written(tmp_path: pathlib.Path) -> None:
    tmp_path.chmod(0o700)
    with state.directory(str(tmp_path), create=True) as where:
        assert where is not None
        assert state.read(where) is None
        state.write(where, DEPLOYED)
        assert state.read(where) == DEPLOYED
        (pathlib.Path(where.path) / records.POLICY).write_text('{"version": 1, "mode": "enforce"}')
        with pytest.raises(DamagedError, match="damaged"):
            state.read(where)


def test_settings_that_others_have_changed_since_are_theirs() -> None:
    settings = {"permissive": "0", "integrity": "sha256", "trust": "file"}
    now = b"# theirs\npermissive = 0\nq_size = 900\nintegrity = sha256\ntrust = file,rpmdb\n"
    restored = absent.without_settings(now, b"# theirs\npermissive = 1\nq_size = 800\ntrust = rpmdb\n", settings)
    assert restored == b"# theirs\npermissive = 1\nq_size = 900\ntrust = file,rpmdb\n"


def test_a_file_that_others_broke_is_left_as_it_is_but_for_our_lines() -> None:
    now = b"permissive = 0\ntrust file\nintegrity = sha256\n"
    restored = absent.without_settings(now, b"permissive = 1\n", {"permissive": "0", "integrity": "sha256"})
    assert restored == b"permissive = 0\ntrust file\n"
