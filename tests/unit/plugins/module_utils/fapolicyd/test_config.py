# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""fapolicyd.conf, read and changed as load_daemon_config of the daemon reads it."""

from __future__ import annotations

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.fapolicyd import config

# fapolicyd.conf of Debian 13, shortened.
DEBIAN = """#
# See the fapolicyd.conf man page for explanation.
#

permissive = 0
watch_fs = ext2,ext3,ext4,tmpfs,xfs,vfat,iso9660,btrfs
trust = debdb,file
integrity = none
"""


def test_settings_are_what_the_daemon_reads() -> None:
    assert config.parse(DEBIAN)["trust"] == "debdb,file"
    assert config.parse("trust = file\ntrust  =   rpmdb more\n") == {"trust": "rpmdb"}
    assert config.parse(f"trust = {'x' * 151}\n") == {}, "a line that fills its buffer is skipped"
    assert config.parse(f"trust = {'x' * 150}\n") == {"trust": "x" * 150}
    assert config.parse("trust = file") == {}, "so is one without an end"


@pytest.mark.parametrize("line", ["trust=file", "trust = ", "trust file", "trust = a b c"])
def test_a_line_that_stops_the_daemon_is_an_error(line: str) -> None:
    with pytest.raises(ValueError, match="line 1 is not NAME = VALUE"):
        config.parse(line + "\n")


def test_only_what_differs_is_changed() -> None:
    wanted = {"permissive": "0", "trust": "file", "db_max_size": "80"}
    text = config.changed(DEBIAN, wanted)
    assert text == DEBIAN.replace("trust = debdb,file", "trust = file") + "db_max_size = 80\n"
    assert config.changed(text, wanted) == text
    assert config.changed("", {"trust": "file"}) == "trust = file\n"


def test_the_setting_that_counts_is_the_one_that_is_changed() -> None:
    assert config.changed("trust = a\ntrust = b\n", {"trust": "c"}) == "trust = a\ntrust = c\n"
    # 1.4 takes notice of a last line without an end, versions before don't.
    assert config.changed("trust = a\ntrust = b", {"trust": "a"}) == "trust = a\ntrust = a\n"
    assert config.changed("a = 1\ntrust = b", {"q_size": "9"}) == "a = 1\nq_size = 9\ntrust = b"


@pytest.mark.parametrize("value", ["", "a b", "x" * 160])
def test_a_value_that_no_line_can_have_is_an_error(value: str) -> None:
    with pytest.raises(ValueError, match="trust can't be"):
        config.changed(DEBIAN, {"trust": value})
