# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who runs this, by the kernel: in processes of other accounts, after sudo, and in user namespaces."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import sys
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions import actor as actors
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import JitActor

from tests.support import give_up, paths
from tests.support.controllers import as_account

_SHOW = """
import json, sys
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.actor import actor
print(json.dumps(vars(actor(None, {}))))
"""
# PAM does that when somebody signs in; sudo then only changes the other ids.
_SIGNED_IN = "open('/proc/self/loginuid', 'w').write(sys.argv[1])\n"


def shown(*prefix: str, code: str = _SHOW, given: t.Sequence[str] = ()) -> dict[str, t.Any]:
    environment = {**os.environ, "PYTHONPATH": str(paths.COLLECTIONS), "LOGNAME": "grace", "USER": "grace"}
    command = [*prefix, sys.executable, "-c", code, *given]
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    return t.cast("dict[str, t.Any]", json.loads(answer.stdout))


def me() -> str:
    return pwd.getpwuid(os.getuid()).pw_name


def test_the_account_is_that_of_the_process_whatever_the_environment_says() -> None:
    assert shown()["name"] == shown()["account"] == me()
    assert shown()["asserted"] is None


@pytest.mark.requires("root", "command:setpriv")
def test_another_account_is_another_person() -> None:
    assert shown(*as_account("games"))["account"] == "games"
    # As in an execution environment, whose number no account has.
    assert shown(*as_account("59999"))["account"] == "uid 59999"


@pytest.mark.requires("root", "command:setpriv")
def test_who_signed_in_is_known_after_sudo() -> None:
    # A process of its own, as what it sets cannot be set again.
    code = _SHOW.replace("import json, sys\n", "import json, sys\n" + _SIGNED_IN)
    games = str(pwd.getpwnam("games").pw_uid)
    assert shown(code=code, given=[games]) == {"name": "root", "account": "root", "login": "games", "asserted": None}
    code = _SHOW.replace("import json, sys\n", "import json, os, sys\n" + _SIGNED_IN + "os.setuid(int(sys.argv[1]))\n")
    assert shown(code=code, given=[games])["login"] is None


@pytest.mark.requires("command:unshare")
def test_in_a_user_namespace_nobody_has_a_name() -> None:
    prefix = ("unshare", "--user", "--map-user=5")
    if subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode != 0:
        give_up("a kernel that makes user namespaces for this account (user.max_user_namespaces)")
    assert shown(*prefix)["account"] == "uid 5 in a user namespace"


@pytest.mark.parametrize(
    ("by", "variables", "name", "asserted"),
    [
        ("x", {}, "x", "the option actor"),
        (None, {"awx_user_name": "grace", "awx_job_id": 7}, "grace", "AWX job 7 of grace"),
        (None, {"tower_user_name": "grace"}, "grace", "AWX of grace"),
        (None, {"awx_job_id": 7}, None, "AWX job 7"),
        (
            "AWX workflow 9",
            {"awx_user_name": "g", "awx_job_id": 7},
            "AWX workflow 9",
            "the option actor, AWX job 7 of g",
        ),
        ("", {}, None, None),
    ],
)
def test_what_variables_say_is_marked(
    by: str | None, variables: dict[str, t.Any], name: str | None, asserted: str | None
) -> None:
    found = actors.actor(by, variables)
    assert found == JitActor(name or me(), me(), found.login, asserted)
