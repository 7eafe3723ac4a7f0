# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What systemd would start."""

from __future__ import annotations

import pathlib

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening import units
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.accounts import Names
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.files import Root
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.flags import Word

_USUAL = "/usr/lib/systemd/system/docker.service"
_UNIT = """
[Unit]
Description=Docker
[Service]
Environment=A=1 "B=two words"
EnvironmentFile=-/etc/default/docker
# ExecStart=/bin/false
ExecStart=/usr/bin/dockerd -H fd:// \\
  ; a comment in between
  --label "x y" $DOCKER_OPTS
"""


class Tree:
    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        self.root = Root(str(path), Names([], []))

    def write(self, path: str, text: str) -> None:
        file = self.path / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def link(self, path: str, target: str) -> None:
        file = self.path / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.symlink_to(target)

    def load(self, name: str = "docker.service") -> units.Unit:
        return units.load(self.root, name, units.Account())

    def command(self) -> list[str]:
        return [word.text for word in self.load().command]


@pytest.fixture
def tree(tmp_path: pathlib.Path) -> Tree:
    found = Tree(tmp_path)
    found.write(_USUAL, _UNIT)
    return found


def test_a_unit_is_read_with_its_environment_files(tree: Tree) -> None:
    tree.write("/etc/default/docker", '# DOCKER_OPTS=no\nDOCKER_OPTS="--icc=false \\\n --log-level warn"\n')
    unit = tree.load()
    assert unit.command == (
        Word("/usr/bin/dockerd", _USUAL),
        Word("-H", _USUAL),
        Word("fd://", _USUAL),
        Word("--label", _USUAL),
        Word("x y", _USUAL),
        Word("--icc=false", "/etc/default/docker"),
        Word("--log-level", "/etc/default/docker"),
        Word("warn", "/etc/default/docker"),
    )
    assert [fact.path for fact in unit.environment_files] == ["/etc/default/docker"]
    assert [fact.path for fact in unit.files] == [_USUAL]
    assert unit.problems == ()


def test_the_first_directory_has_the_unit_and_drop_ins_come_in_the_order_of_their_names(tree: Tree) -> None:
    tree.write("/etc/systemd/system/docker.service", "[Service]\nExecStart=/opt/dockerd $A ${A}x\nEnvironment=A=0")
    tree.write("/usr/lib/systemd/system/docker.service.d/20-last.conf", "[Service]\nEnvironment=A=3")
    tree.write("/etc/systemd/system/docker.service.d/10-first.conf", "[Service]\nEnvironment='A=1 2'")
    assert tree.command() == ["/opt/dockerd", "3", "3x"]
    tree.write("/etc/systemd/system/docker.service.d/20-last.conf", "")
    assert tree.command() == ["/opt/dockerd", "1", "2", "1 2x"]
    tree.write("/etc/systemd/system/service.d/30-all.conf", "[Service]\nEnvironment=\nEnvironment=A=4")
    assert tree.command() == ["/opt/dockerd", "4", "4x"]
    assert [fact.path for fact in tree.load().files] == [
        "/etc/systemd/system/docker.service",
        "/etc/systemd/system/docker.service.d/10-first.conf",
        "/etc/systemd/system/docker.service.d/20-last.conf",
        "/etc/systemd/system/service.d/30-all.conf",
    ]


def test_an_empty_command_takes_back_the_one_before(tree: Tree) -> None:
    drop_in = "/etc/systemd/system/docker.service.d/override.conf"
    tree.write(drop_in, "[Service]\nExecStart=\nExecStart=-/usr/bin/dockerd --icc=false")
    assert tree.load().command == (Word("/usr/bin/dockerd", drop_in), Word("--icc=false", drop_in))
    tree.write(drop_in, "[Service]\nExecStart=")
    assert tree.command() == []


@pytest.mark.parametrize("kind", ["", "@", "-", "!!", "+"])
def test_marks_before_a_command_are_no_part_of_it(tree: Tree, kind: str) -> None:
    tree.write("/etc/systemd/system/docker.service", f"[Service]\nExecStart={kind}/usr/bin/dockerd\n")
    assert tree.command() == ["/usr/bin/dockerd"]


def test_a_file_of_the_environment_counts_more_than_a_line_of_it(tree: Tree) -> None:
    tree.write(
        "/etc/systemd/system/docker.service", "[Service]\nExecStart=/d $A\nEnvironmentFile=/e*.env\nEnvironment=A=0"
    )
    tree.write("/e1.env", "A=1")
    tree.write("/e2.env", "A='2 \"3\"'\nBAD NAME=4\nB")
    assert tree.command() == ["/d", "2", "3"]


def test_a_masked_unit_starts_nothing(tree: Tree) -> None:
    tree.link("/etc/systemd/system/docker.service", "/dev/null")
    tree.write("/dev/null", "")
    assert tree.load().command == ()


def test_a_link_leads_nowhere_outside_of_the_root(tree: Tree) -> None:
    tree.write("/opt/docker.service", "[Service]\nExecStart=/opt/dockerd")
    tree.link("/etc/systemd/system/docker.service", "../../../../../../../../opt/docker.service")
    unit = tree.load()
    assert [word.text for word in unit.command] == ["/opt/dockerd"]
    assert unit.files[0].target == "/opt/docker.service"


def test_where_there_is_no_unit_there_is_none(tree: Tree) -> None:
    assert tree.load("other.service") == units.Unit("other.service")


def test_a_socket_says_where_it_listens(tree: Tree) -> None:
    tree.write(
        "/usr/lib/systemd/system/docker.socket", "[Socket]\nListenStream=/x\nListenStream=\nListenStream=%t/docker.sock"
    )
    assert tree.load("docker.socket").listens == ("/run/docker.sock",)


def test_units_of_an_account_are_below_its_home(tree: Tree) -> None:
    tree.write("/home/a/.config/systemd/user/docker.service", "[Service]\nExecStart=/bin/dockerd %h %t %E %%")
    unit = units.load(tree.root, "docker.service", units.Account("/home/a", "/run/user/7", True))
    assert [word.text for word in unit.command] == ["/bin/dockerd", "/home/a", "/run/user/7", "/home/a/.config", "%"]


@pytest.mark.parametrize(
    "text", ["\\", '"', "'", "a\\", '"a', "$", "${", "${A", "%", "%(", '"\\', "[", "=", "[x]\n=", "\0"]
)
def test_odd_text_harms_nothing(tree: Tree, text: str) -> None:
    tree.write("/etc/systemd/system/docker.service", f"[Service]\nExecStart={text}\nEnvironment={text}\n{text}")
    tree.write("/etc/systemd/system/docker.service.d/x.conf", text)
    tree.load()
