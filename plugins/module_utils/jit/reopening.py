# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is still open is open again after the rules were loaded anew, as when nftables is reloaded; not after a boot.

The kernel forgets its sets then, and what the configuration of nftables brings may be an old copy of them. A note says
what is open until when. The unit that loads the rules runs a script of the shell that reads it: neither the controller
nor Python need be there. Whatever the script can't do stays closed.
"""

from __future__ import annotations

import os
import shlex
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.firewall import persist
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.nft import FAMILY
from ansible_collections.bulwark.servers.plugins.module_utils.jit import clock, table
from ansible_collections.bulwark.servers.plugins.module_utils.jit.rectangles import Rectangle

NOTE = "open"
# The first line of the note is the boot, each other one END SET ELEMENT; END is in hundredths of a second of the clock
# of /proc/uptime, or a hyphen for what stays, which only our own table has.
_SCRIPT = """\
# Written by bulwark.servers; changes here are lost. It is removed with the rules.
set -eu
PATH=/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL=C
note={note}
test -e "$note" || exit 0
read -r noted < "$note"
read -r id < /proc/sys/kernel/random/boot_id
read -r first < /proc/1/stat
set -- ${{first##*) }}
test "$noted" = "$id/${{20}}" || exit 0
read -r up idle < /proc/uptime
now=${{up%.*}}${{up#*.}}
for table in {tables}; do
    nft --terse list table {family} $table > /dev/null 2>&1 || continue
    {{
        read -r noted
        while read -r end set element; do
            if test "$end" = -; then
                test $table != {own} || echo "add element {family} $table $set {{ $element }}"
            elif test "$end" -gt "$now"; then
                echo "add element {family} $table $set {{ $element timeout $((end - now))0ms }}"
            fi
        done
    }} < "$note" | nft -f - || echo "Nothing was opened again in the table $table." >&2
done
"""


def script(directory: str) -> str:
    """Return the script. directory: absolute path of the one that the note is in."""
    tables = " ".join((table.NAME, *persist.FILLED_TOO))
    return _SCRIPT.format(note=shlex.quote(os.path.join(directory, NOTE)), tables=tables, family=FAMILY, own=table.NAME)


def note(boot: str, open_ones: t.Iterable[Rectangle], cut: t.Iterable[Rectangle]) -> str:
    """Return the note. open_ones: disjoint; their ends are of CLOCK_BOOTTIME in that boot. Raises HostError."""
    now = clock.now()
    ahead = clock.uptime() - now.since_boot
    lines = ["%d %s %s" % ((one.end + ahead) * 100, table.GRANTS[one.version], table.element(one)) for one in open_ones]
    lines += ["- %s %s" % (table.CUT[one.version], table.element(one)) for one in cut]
    return "".join("%s\n" % line for line in (boot, *lines))
