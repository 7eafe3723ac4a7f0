# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Open again what is still granted after a reload of nftables, and nothing after a boot.

The kernel forgets its sets then, and what the configuration of nftables brings may be an old copy of them. A note says
what is open until when. The unit that loads the rules runs a script of the shell that reads it: neither the controller
nor Python need be there. Whatever the script can't do stays closed.
"""

from __future__ import annotations

import os
import shlex

from ansible_collections.bulwark.servers.plugins.module_utils._state import StateDirectory
from ansible_collections.bulwark.servers.plugins.module_utils.firewall import openings
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.nft import FAMILY, Nft
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.rectangles import MOST_ELEMENTS, disjoint
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access import clock, grants, state, table
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.clock import Now
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.state import Book

NOTE = "open"
# The first line of the note is the boot, each other one END TABLE SET ELEMENT; END is in hundredths of a second of the
# clock of /proc/uptime, or a hyphen for what stays.
_SCRIPT = """\
# Written by bulwark.servers; changes here are lost. It is removed with the rules.
set -eu
PATH=/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL=C
note={note}
test -e "$note" || exit 0
read -r id < /proc/sys/kernel/random/boot_id
read -r first < /proc/1/stat
set -- ${{first##*) }}
{{
    read -r boot
    test "$boot" = "$id/${{20}}" || exit 0
    tables=
    while read -r end table rest; do
        case " $tables " in *" $table "*) ;; *) tables="$tables $table" ;; esac
    done
}} < "$note"
read -r up rest < /proc/uptime
now=${{up%.*}}${{up#*.}}
for wanted in $tables; do
    {{
        read -r boot
        while read -r end table set element; do
            if test "$table" != "$wanted"; then
                continue
            elif test "$end" = -; then
                echo "add element {family} $table $set {{ $element }}"
            elif test "$end" -gt "$now"; then
                echo "add element {family} $table $set {{ $element timeout $((end - now))0ms }}"
            fi
        done
    }} < "$note" | nft -f - || echo "Nothing was opened again in the table $wanted." >&2
done
"""


def script(state_root: str) -> str:
    """Return the script for a host whose state is there."""
    note = os.path.join(os.path.normpath(state_root), state.CAPABILITY, NOTE)
    return _SCRIPT.format(note=shlex.quote(note), family=FAMILY)


def keep(where: StateDirectory, nft: Nft, book: Book, now: Now) -> None:
    """Note what is open. now: when the book was read, which may be a while ago. Raises StateError, FirewallError."""
    open_ones = disjoint(grants.rectangles(book.lasting), MOST_ELEMENTS)
    ahead = clock.uptime() - clock.now().since_boot
    lines = [now.boot]
    for name in (table.NAME, *openings.beside(nft, table.NAME)):
        lines += [
            "%d %s %s %s" % ((one.end + ahead) * 100, name, table.GRANTS[one.version], openings.element(one))
            for one in open_ones
        ]
    lines += ["- %s %s %s" % (table.NAME, table.CUT[one.version], openings.element(one)) for one in book.cut]
    with where.written(NOTE) as stream:
        stream.write("".join("%s\n" % line for line in lines).encode("ascii"))


def forget(where: StateDirectory) -> None:
    """Let nothing be opened again until it is noted anew: before something is closed. Raises StateError."""
    where.remove(NOTE)
