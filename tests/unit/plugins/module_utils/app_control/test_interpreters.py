# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that the arguments of interpreters and loaders name."""

from __future__ import annotations

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.app_control import interpreters

CASES = {
    # shells
    "bash x.sh a b": ["x.sh"],
    "bash -ex x.sh -c": ["x.sh"],
    "bash -o pipefail x.sh": ["x.sh"],
    "bash +o history x.sh": ["x.sh"],
    "bash -oe pipefail x.sh": ["x.sh"],
    "bash -Oxo extglob pipefail x.sh": ["x.sh"],
    "dash -oe errexit x.sh": ["x.sh"],
    "bash -oc pipefail x.sh": [],
    "bash --rcfile /etc/rc x.sh": ["x.sh"],
    "bash --norc -- -x.sh": ["-x.sh"],
    "bash - x.sh": ["x.sh"],
    "bash -c x.sh": [],
    "sh -xc x.sh": [],
    "dash -s x.sh": [],
    "bash": [],
    "-bash": [],
    # other languages
    "python3 x.py": ["x.py"],
    "python3.13 -Bu -W ignore x.py": ["x.py"],
    "python3 -Wignore x.py": ["x.py"],
    "python3 -c x.py": [],
    "python3 -m http.server": [],
    "python3 -Im pip": [],
    "python3 -": [],
    "perl -w -I/usr/lib x.pl": ["x.pl"],
    "perl -I lib x.pl": ["x.pl"],
    "perl -ne print x": [],
    "perl -lane print x": [],
    "perl -F: -lane print x": [],
    "perl -0777ne print x": [],
    "perl -l012 x.pl": ["x.pl"],
    "perl -Tw x.pl": ["x.pl"],
    "perl -MJSON -le print x": [],
    "ruby -lane print x": [],
    "perl -i.bak x.pl": ["x.pl"],
    "ruby3.3 -r json x.rb": ["x.rb"],
    "node --require ./a.js x.js": ["x.js"],
    "node --inspect=0 x.js": ["x.js"],
    "node -e 1": [],
    "php -f x.php": ["x.php"],
    "php8.2 -d a=b x.php": ["x.php"],
    "php -r 1": [],
    "gawk -f x.awk data": ["x.awk"],
    "awk -fx.awk data": ["x.awk"],
    "awk {print} data": [],
    "gawk --file=x.awk data": ["x.awk"],
    "java -cp a.jar -jar x.jar": ["x.jar"],
    "java -Xmx1g -cp a.jar Main": [],
    "java Main.java": ["Main.java"],
    "lua5.4 -e 1 x.lua": ["x.lua"],
    # loaders, and what they load
    "/lib64/ld-linux-x86-64.so.2 /tmp/x a": ["/tmp/x"],
    "/lib64/ld-linux-x86-64.so.2 --preload /tmp/l.so --argv0 ls /tmp/x": ["/tmp/x"],
    "/lib64/ld-linux-x86-64.so.2 --list /tmp/x": [],
    "/lib/ld-musl-x86_64.so.1 /bin/bash x.sh": ["/bin/bash", "x.sh"],
    # busybox by its own name and by that of an applet
    "busybox sh x.sh": ["x.sh"],
    "busybox ls x.sh": [],
    "busybox": [],
    # no interpreters
    "ls x.sh": [],
    "bashful x.sh": [],
}


@pytest.mark.parametrize("line", CASES)
def test_operands(line: str) -> None:
    words = line.encode().split()
    program = {b"-bash": b"/bin/bash"}.get(words[0], words[0])
    found = interpreters.operands(program, words)
    assert [operand.name.decode() for operand in found] == CASES[line]


def test_an_applet_is_known_by_the_name_that_busybox_was_called_by() -> None:
    found = interpreters.operands(b"/usr/bin/busybox", [b"/bin/sh", b"-e", b"x.sh"])
    assert [operand.name for operand in found] == [b"x.sh"]


def test_the_name_that_a_program_gives_itself_is_of_no_interest() -> None:
    assert interpreters.operands(b"/usr/bin/bash", [b"nginx: worker", b"x.sh"])[0].name == b"x.sh"
    assert not interpreters.operands(b"/usr/sbin/nginx", [b"bash", b"x.sh"])


def test_no_arguments_and_endless_ones() -> None:
    assert not interpreters.operands(b"/bin/bash", [])
    assert not interpreters.operands(b"/bin/bash", [b"bash", b""])
    loaders = [b"/lib64/ld-linux-x86-64.so.2"] * 1_000
    assert len(interpreters.operands(loaders[0], loaders)) == 3
    assert interpreters.operands(b"/bin/bash", [b"bash", *[b"-e"] * 1_000, b"x.sh"])[0].name == b"x.sh"
