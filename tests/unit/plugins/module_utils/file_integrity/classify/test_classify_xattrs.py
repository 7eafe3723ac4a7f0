# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Extended attributes as the kernel really stores them, and as an attacker may."""

from __future__ import annotations

import os
import pathlib
import struct
import subprocess

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity import model
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.classify import xattrs
from hypothesis import given
from hypothesis import strategies as st


def entry(**values: bytes) -> model.Entry:
    names = {
        "capability": model.CAPABILITY_XATTR,
        "acl": model.ACL_XATTRS[0],
        "default_acl": model.ACL_XATTRS[1],
        "selinux": model.SELINUX_XATTR,
    }
    return model.Entry(b"/x", "watch", model.FILE, xattrs={names[name]: value for name, value in values.items()})


def of_file(path: pathlib.Path) -> model.Entry:
    found = {os.fsencode(name): os.getxattr(path, name) for name in os.listxattr(path)}
    return model.Entry(os.fsencode(path), "watch", model.FILE, xattrs=found)


@pytest.mark.requires("root", "command:setcap")
def test_capabilities_that_setcap_wrote(tmp_path: pathlib.Path) -> None:
    program = tmp_path / "program"
    program.write_text("x")
    assert xattrs.capabilities(of_file(program)) == frozenset()
    text = "cap_setuid,cap_net_raw,cap_checkpoint_restore=ep"
    subprocess.run(["setcap", text, program], check=True)
    assert xattrs.capabilities(of_file(program)) == xattrs.named(text)
    subprocess.run(["setcap", "-n", "1000", "cap_sys_admin=i", program], check=True)
    assert xattrs.capabilities(of_file(program)) == {"cap_sys_admin"}


@pytest.mark.requires("root", "command:setfacl")
def test_access_control_lists_that_setfacl_wrote(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    subprocess.run(["setfacl", "-m", "u:1000:rw,u:1001:r,g:50:w", file], check=True)
    assert xattrs.writers(of_file(file)) == {"user 1000", "group 50"}
    subprocess.run(["setfacl", "-d", "-m", "u:1002:rwx", tmp_path], check=True)
    assert xattrs.writers(of_file(tmp_path)) == {"user 1002"}


@pytest.mark.parametrize("value", [b"\0", struct.pack("<I", 0x02000000), struct.pack("<I", 0x7F000000) + bytes(16)])
def test_capabilities_that_are_none_are_not_taken_for_nothing(value: bytes) -> None:
    assert xattrs.capabilities(entry(capability=value)) <= {"unreadable"}
    assert xattrs.capabilities(entry(capability=value)) == ({"unreadable"} if len(value) > 3 else frozenset())


def test_a_capability_that_has_no_name_yet_has_its_number() -> None:
    value = struct.pack("<5I", 0x02000000, 0, 0, 1 << 31, 0)
    assert xattrs.capabilities(entry(capability=value)) == {"cap_63"}


@given(st.binary(max_size=40))
def test_no_value_is_a_trap(value: bytes) -> None:
    hostile = entry(capability=value, acl=value, default_acl=value, selinux=value)
    assert isinstance(xattrs.capabilities(hostile), frozenset)
    assert isinstance(xattrs.writers(hostile), frozenset)
    assert not any(ord(char) < 0x20 or ord(char) == 0x7F for char in xattrs.label(hostile))
