# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The scripts: for /bin/sh with -eu, as root, each in an empty directory of its own, which is ``$D``.

``$S`` is the directory at the same path outside. ``LIVE`` copies sleep(1), so that there is something to look at; a
script writes the process that it leaves running to ``$D/pid``. Each script ends with an error when its code is refused.
The code itself leaves a proof: what ``PROOF`` finds in the script's output, or ``MAPPED`` in its process.
"""

from __future__ import annotations

import re
import typing as t

# id(1), an interpreter or library that prints 1, a changed program, head(1) as an interpreter, and busybox renamed.
PROOF: t.Final = re.compile(r"(?m)^(uid=\d.*|1|ways-elsewise|WAYSMAGIC|WAYSOTHER)$|applet not found")
# By name of the script, the end of a file that the process it leaves running has mapped if the code is in it.
MAPPED: t.Final[t.Mapping[str, str]] = {
    "deleted_while_running": "/worker (deleted)",
    "ld_so_running": "/own",
    "memfd_running": "/memfd:ways_running (deleted)",
    "ld_preload_running": "/own.so",
    "ld_audit_running": "/own.so",
    "rpath_library": "/libways.so",
    "library_path": "/libways.so",
    "dlopen_running": "/own.so",
    "bind_mount_of_its_own": "own",
    "unmounted_while_running": "/own",
    "preload_file": "/own.so",
}

# Before anything is watched: what allowlists have, and what the scripts bring.
PREPARE: t.Final = r"""
mkdir -p /opt/ways/bin /opt/ways/open /opt/ways/sources
cd /opt/ways/sources
cat > tool.c <<'END'
#include <stdio.h>
int main(void) { return puts("ways-original") < 0; }
END
echo 'int ways(void) { return 0; }' > library.c
cat > preloaded.c <<'END'
int puts(const char *);
__attribute__((constructor)) static void start(void) { puts("1"); }
END
echo 'unsigned la_version(unsigned version) { return version; }' > auditor.c
echo 'int ways(void); unsigned sleep(unsigned); int main(void) { return ways() + (int)sleep(600); }' > linked.c
gcc -o /opt/ways/tool tool.c &
gcc -shared -fPIC -o library.so library.c &
gcc -shared -fPIC -o auditor.so auditor.c &
gcc -shared -fPIC -o preloaded.so preloaded.c &
wait
cp library.so libways.so
gcc -o /opt/ways/linked linked.c -L. -lways -Wl,-rpath,/tmp/ways/rpath_library
cp /opt/ways/linked /opt/ways/linked_too
cp /opt/ways/tool /opt/ways/bin/tool
chmod 777 /opt/ways/open
for name in ways-tool ways-edited ways-back ways-over ways-under ways-own ways-root ways-named ways-signed; do
    mkdir -p "$name/DEBIAN" "$name/usr/bin"
    cp /opt/ways/tool "$name/usr/bin/$name"
    printf 'Package: %s\nVersion: 1\nArchitecture: amd64\nMaintainer: a <a@example.com>\nDescription: b\n' "$name" \
        > "$name/DEBIAN/control"
    dpkg-deb --root-owner-group -Znone --build "$name" "$name.deb" > /dev/null
done
dpkg --force-unsafe-io --install ways-*.deb > /dev/null
for name in named signed; do
    sed -i 's/^Version: 1/Version: 2/' "ways-$name/DEBIAN/control"
    sed -i 's/ways-original/ways-elsewise/' "ways-$name/usr/bin/ways-$name"
    dpkg-deb --root-owner-group -Znone --build "ways-$name" "ways-$name.deb" > /dev/null
done
rm -f /etc/cron.d/* /etc/crontab
: > /etc/crontab
"""
# What a host has run before, and a look has seen.
BEFORE: t.Final = """
for name in /opt/ways/tool /opt/ways/bin/tool ways-tool ways-edited ways-back ways-over ways-under ways-own ways-root \\
    ways-named ways-signed
do "$name" > /dev/null; done
"""

_ALTER = """
alter() { touch -r "$1" "$D/times"; sed -i 's/ways-original/ways-elsewise/' "$1"; touch -r "$D/times" "$1"; }
"""
_LIVE = """
leave() { "$@" > /dev/null 2>&1 < /dev/null & echo $! > "$D/pid"; }
"""
_DEB = """
package() {
    mkdir -p "$1/DEBIAN" "$1/usr/bin"
    cp /usr/bin/id "$1/usr/bin/$1"
    printf 'Package: %s\\nVersion: 1\\nArchitecture: amd64\\nMaintainer: a <a@example.com>\\nDescription: b\\n' "$1" \\
        > "$1/DEBIAN/control"
    printf '#!/bin/sh\\n/usr/bin/id\\n' > "$1/DEBIAN/postinst"
    chmod 755 "$1/DEBIAN/postinst"
    dpkg-deb --root-owner-group -Znone --build "$1" "$1.deb"
    flock /opt/ways dpkg --force-unsafe-io --install "$1.deb"
}
"""
_VICTIM = """
leave sleep 600
victim=$(cat "$D/pid")
until [ "$(readlink "/proc/$victim/exe")" = /usr/bin/sleep ]; do :; done
"""
_SCRIPT = "printf '#!/bin/sh\\n/usr/bin/id\\n' > $D/job; chmod 755 $D/job\n"

SCRIPTS: t.Final[t.Mapping[str, str]] = {
    # Programs.
    "renamed_copy": "cp /usr/bin/id $D/updater; $D/updater",
    "compiled": """
        echo 'int puts(const char *); int main(void) { return puts("1") < 0; }' > $D/own.c
        gcc -o $D/own $D/own.c; $D/own
    """,
    "written_by_perl": """
        perl -e 'open F, ">", $ARGV[0]; open G, "/usr/bin/id"; print F <G>; close F; chmod 0755, $ARGV[0]' $D/fetched
        $D/fetched
    """,
    "changed_same_size": _ALTER + "alter /opt/ways/tool; /opt/ways/tool",
    "packaged_changed": _ALTER + "alter /usr/bin/ways-tool; ways-tool",
    "packaged_changed_digest_edited": _ALTER
    + """
        alter /usr/bin/ways-edited
        (cd /; md5sum usr/bin/ways-edited) > /var/lib/dpkg/info/ways-edited.md5sums
        ways-edited
    """,
    "hard_link": "ln /usr/bin/nl /usr/local/bin/ways-nl; ways-nl /dev/null && echo 1",
    "symlink": "ln -s /usr/bin/python3 $D/daemon; $D/daemon -c 'print(1)'",
    "title_of_another": "bash -c 'exec -a /usr/sbin/sshd $0' $(cp /usr/bin/id $D/own; echo $D/own)",
    "setuid_copy": """
        cp /bin/dash $D/shell; chmod 4755 $D/shell
        setpriv --reuid 65534 --regid 65534 --clear-groups $D/shell -p -c id
    """,
    "deleted_while_running": _LIVE
    + """
        cp /usr/bin/sleep $D/worker; leave $D/worker 600
        until [ "$(readlink "/proc/$(cat $D/pid)/exe")" = $D/worker ]; do kill -0 "$(cat $D/pid)"; done
        rm $D/worker
    """,
    "deleted_before_the_look": "cp /usr/bin/id $D/worker; $D/worker; rm $D/worker",
    "put_back": """
        cp -p /usr/bin/ways-back $D/kept; cp --remove-destination /usr/bin/id /usr/bin/ways-back; ways-back
        mv $D/kept /usr/bin/ways-back
    """,
    "new_in_allowed_directory": "cp /usr/bin/id /opt/ways/bin/new; /opt/ways/bin/new",
    "in_open_directory": "cp /usr/bin/id /opt/ways/open/own; /opt/ways/open/own",
    "ld_so": "cp /usr/bin/id $D/own; chmod 644 $D/own; /lib64/ld-linux-x86-64.so.2 $D/own",
    "ld_so_running": _LIVE + "cp /usr/bin/sleep $D/own; leave /lib64/ld-linux-x86-64.so.2 $D/own 600",
    # Memory files.
    "memfd": """
        python3 -c 'import os; f = os.memfd_create("ways_memfd"); os.write(f, open("/usr/bin/id", "rb").read())
os.execve(f, ["id"], {})'
    """,
    "memfd_running": _LIVE
    + """
        leave python3 -c 'import os; f = os.memfd_create("ways_running")
os.write(f, open("/usr/bin/sleep", "rb").read())
os.execve(f, ["sleep", "600"], {})'
    """,
    # Libraries.
    "ld_preload": "cp /opt/ways/sources/preloaded.so $D/own.so; LD_PRELOAD=$D/own.so /usr/bin/true",
    "ld_preload_running": _LIVE + "cp /opt/ways/sources/library.so $D/own.so; LD_PRELOAD=$D/own.so leave sleep 600",
    "ld_audit_running": _LIVE + "cp /opt/ways/sources/auditor.so $D/own.so; LD_AUDIT=$D/own.so leave sleep 600",
    "rpath_library": _LIVE + "cp /opt/ways/sources/libways.so $D; leave /opt/ways/linked",
    "library_path": _LIVE + "cp /opt/ways/sources/libways.so $D; LD_LIBRARY_PATH=$D leave /opt/ways/linked_too",
    "dlopen_running": _LIVE
    + """
        cp /opt/ways/sources/library.so $D/own.so
        leave python3 -c 'import ctypes, sys, time; ctypes.CDLL(sys.argv[1]); time.sleep(600)' $D/own.so
    """,
    # Scripts of shells.
    "script": _SCRIPT + "$D/job",
    "script_chain": """
        printf '#!/bin/sh\\n/usr/bin/id\\n' > $D/first; chmod 755 $D/first
        printf '#!%s\\n' $D/first > $D/second; chmod 755 $D/second
        $D/second
    """,
    "script_with_crlf": """
        python3 -c 'import shutil, sys; shutil.copy("/bin/dash", sys.argv[1] + "/shell\\r")' $D
        printf '#!%s/shell\\r\\n/usr/bin/id #\\r\\n' $D > $D/job; chmod 755 $D/job; $D/job
    """,
    "script_with_crlf_by_name": "printf '#!/bin/sh\\r\\n/usr/bin/id #\\r\\n' > $D/job; sh $D/job",
    "script_without_interpreter": "echo /usr/bin/id > $D/job; chmod 755 $D/job; bash -c $D/job",
    "script_by_name": "echo /usr/bin/id > $D/job; sh $D/job",
    "script_by_env": "printf '#!/usr/bin/env -S sh -e\\n/usr/bin/id\\n' > $D/job; chmod 755 $D/job; $D/job",
    "sourced": "echo /usr/bin/id > $D/job; bash -c '. $0' $D/job",
    "from_standard_input": "echo /usr/bin/id > $D/job; sh < $D/job",
    "pipe": "echo /usr/bin/id > $D/job; cat $D/job | sh",
    "here_document": "sh <<END\n/usr/bin/id\nEND",
    "argument": "sh -c 'x=/usr/bin/id; eval $x'",
    "bash_env": "echo /usr/bin/id > $D/job; BASH_ENV=$D/job bash -c :",
    "xargs": "echo /usr/bin/id > $D/job; echo $D/job | xargs sh",
    "find_exec": "cp /usr/bin/id $D/own; find $D/own -exec {} ';'",
    # Scripts of languages.
    "python_file": "echo 'print(1)' > $D/job.py; python3 $D/job.py",
    "python_argument": "python3 -c 'print(1)'",
    "python_module": "echo 'print(1)' > $D/ways_module.py; PYTHONPATH=$D python3 -m ways_module",
    "python_archive": """
        echo 'print(1)' > $D/__main__.py; python3 -m zipfile -c $D/job.zip __main__.py; rm $D/__main__.py
        python3 $D/job.zip
    """,
    "python_import_from_archive": """
        echo 'print(1)' > $D/ways_zipped.py; (cd $D; python3 -m zipfile -c own.zip ways_zipped.py)
        PYTHONPATH=$D/own.zip python3 -c 'import ways_zipped'
    """,
    "python_start_file": """
        site=$(HOME=$D python3 -c 'import site; print(site.getusersitepackages())')
        mkdir -p "$site"; echo 'print(1)' > "$site/usercustomize.py"; HOME=$D python3 -c pass | grep 1
    """,
    "pip_user": """
        python3 - <<'END'
import zipfile
with zipfile.ZipFile("ways_pip-1-py3-none-any.whl", "w") as wheel:
    wheel.writestr("ways_pip.py", "def main():\\n    print(1)\\n")
    wheel.writestr("ways_pip-1.dist-info/METADATA", "Metadata-Version: 2.1\\nName: ways_pip\\nVersion: 1\\n")
    wheel.writestr("ways_pip-1.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
    wheel.writestr("ways_pip-1.dist-info/entry_points.txt", "[console_scripts]\\nways-pip = ways_pip:main\\n")
    wheel.writestr("ways_pip-1.dist-info/RECORD", "")
END
        HOME=$D python3 -m pip install --quiet --user --no-index --no-deps --break-system-packages \\
            --no-warn-script-location --root-user-action=ignore ./ways_pip-1-py3-none-any.whl
        HOME=$D $D/.local/bin/ways-pip
    """,
    "java_archive": """
        mkdir -p $D/classes; echo 'class Job { public static void main(String[] a) { System.out.println(1); } }' \\
            > $D/Job.java
        javac -d $D/classes $D/Job.java; jar --create --file $D/job.jar --main-class Job -C $D/classes .
        java -Xshare:auto -jar $D/job.jar
    """,
    "awk_argument": "awk 'BEGIN { print 1; system(\"/usr/bin/id\") }'",
    "awk_file": "echo 'BEGIN { system(\"/usr/bin/id\") }' > $D/job.awk; awk -f $D/job.awk",
    "perl_argument": "perl -e 'print 1'",
    "perl_file": "echo 'print 1;' > $D/job.pl; perl $D/job.pl",
    "ruby_argument": "ruby -e 'puts 1'",
    "ruby_file": "echo 'puts 1' > $D/job.rb; ruby $D/job.rb",
    "node_argument": "node -e 'console.log(1)'",
    "node_file": "echo 'console.log(1)' > $D/job.js; node $D/job.js",
    "npx": """
        mkdir -p $D/node_modules/.bin; printf '#!/usr/bin/env node\\nconsole.log(1)\\n' > $D/node_modules/.bin/ways-npx
        chmod 755 $D/node_modules/.bin/ways-npx; HOME=$D npx --no-install ways-npx
    """,
    # Programs that start others.
    "busybox_applet": "busybox sh -c 'busybox id'",
    "vim_shell": 'cp /usr/bin/id $D/own; ex -u NONE -s -c "!$D/own" -c q < /dev/null',
    "vim_script": """
        echo 'call system("id > written")' > $D/job.vim; ex -u NONE -s -S $D/job.vim -c q < /dev/null; cat $D/written
    """,
    "gdb_shell": 'cp /usr/bin/id $D/own; gdb -nx -batch -ex "shell $D/own"',
    "git_hook": """
        git init -q $D/one; cd $D/one; printf '#!/bin/sh\\n/usr/bin/id\\n' > .git/hooks/post-commit
        chmod 755 .git/hooks/post-commit
        git -c user.email=a@example.com -c user.name=a commit -q --allow-empty -m First
    """,
    "make_file": "printf 'all:\\n\\t@/usr/bin/id\\n' > $D/Makefile; make -C $D",
    "tar_action": """
        echo /usr/bin/id > $D/job
        tar cf /dev/null --checkpoint=1 --checkpoint-action=exec='sh job' job
    """,
    # Other views of the file system.
    "bind_mount": "cp /usr/bin/id $D/own; mount --bind $D/own /usr/bin/ways-over; ways-over",
    "bind_mount_undone": """
        cp /usr/bin/id $D/own; mount --bind $D/own /usr/bin/ways-under; ways-under; umount /usr/bin/ways-under
    """,
    "bind_mount_of_its_own": _LIVE
    + """
        cp /usr/bin/sleep $D/own
        leave unshare --mount sh -c 'mount --bind $0 /usr/bin/ways-own; exec ways-own 600' $D/own
    """,
    "overlay_mount": """
        mkdir $D/over; cp /usr/bin/id $D/over/tool
        unshare --mount sh -c 'mount -t overlay -o lowerdir=$0:/opt/ways/bin overlay /opt/ways/bin
            /opt/ways/bin/tool' $D/over
    """,
    "chroot": """
        mkdir -p $D/root/usr/bin; cp /usr/bin/busybox $D/root/usr/bin/ways-root
        chroot $D/root /usr/bin/ways-root || test $? = 127
    """,
    "user_namespace": """
        cp /usr/bin/id $D/own; chmod 755 $D $D/own
        setpriv --reuid 65534 --regid 65534 --clear-groups unshare --user --map-root-user --mount $D/own
    """,
    "unmounted_while_running": _LIVE
    + """
        mkdir $D/mount; mount -t tmpfs none $D/mount; cp /usr/bin/sleep $D/mount/own; leave $D/mount/own 600
        until [ "$(readlink "/proc/$(cat $D/pid)/exe")" = $D/mount/own ]; do kill -0 "$(cat $D/pid)"; done
        umount -l $D/mount
    """,
    # Into processes that run.
    "debugger_call": _LIVE
    + _VICTIM
    + """
        gdb -nx -batch -p $victim -ex 'print (long)mmap((void*)0, 4096L, 7, 0x22, -1, 0L)' > $D/said 2>&1
        address=$(sed -n 's/^\\$1 = //p' $D/said)
        python3 -c '
import ctypes, sys
pid, address = map(int, sys.argv[1:])
data = ctypes.create_string_buffer(b"\\x90" * 4000 + b"\\xc3")
parts = [(ctypes.c_void_p * 2)(ctypes.addressof(data), 4001), (ctypes.c_void_p * 2)(address, 4001)]
assert ctypes.CDLL(None).process_vm_writev(pid, parts[0], 1, parts[1], 1, 0) == 4001
print(1)
' $victim $address
    """,
    "process_memory_file": _LIVE
    + _VICTIM
    + """
        python3 -c '
import sys
maps = [line.split() for line in open(f"/proc/{sys.argv[1]}/maps")]
start, end = next(line[0].split("-") for line in maps if line[1] == "r-xp" and line[-1].endswith("/sleep"))
with open(f"/proc/{sys.argv[1]}/mem", "r+b", 0) as memory:
    memory.seek(int(end, 16) - 64)
    memory.write(b"\\x90" * 63 + b"\\xc3")
print(1)
' $victim
    """,
    # Services and the kernel.
    "cron": _SCRIPT
    + """
        echo "@reboot root $D/job > $D/written; echo > $D/over" > /etc/cron.d/ways
        sh -c 'echo 4294967295 > /proc/self/loginuid; exec cron -f' < /dev/null & daemon=$!
        until test -e $D/over; do kill -0 $daemon; done
        kill $daemon; rm -f /run/crond.pid; cat $D/written
    """,
    "binfmt": """
        cp /usr/bin/head $D/interpreter; echo WAYSMAGIC > $D/document; chmod 755 $D/document
        test ! -e /proc/sys/fs/binfmt_misc/ways || echo -1 > /proc/sys/fs/binfmt_misc/ways
        echo ":ways:M::WAYSMAGIC::$D/interpreter:" > /proc/sys/fs/binfmt_misc/register
        $D/document; echo -1 > /proc/sys/fs/binfmt_misc/ways
    """,
    "core_pattern": """
        cp /usr/bin/touch $S/core-helper; read -r before < /proc/sys/kernel/core_pattern
        trap 'echo "$before" > /proc/sys/kernel/core_pattern' EXIT
        echo "|$S/core-helper $S/core-written" > /proc/sys/kernel/core_pattern
        sh -c 'kill -SEGV $$' || true
    """,
    # Packages.
    "unsigned_package": _DEB + "package ways-unsigned; ways-unsigned",
    "package_script": _DEB + "package ways-script",
    "package_under_allowed_name": "flock /opt/ways dpkg --install /opt/ways/sources/ways-named.deb; ways-named",
    "package_under_signed_name": "flock /opt/ways dpkg --install /opt/ways/sources/ways-signed.deb; ways-signed",
    # Last, as it is in all that is started after it.
    "preload_file": _LIVE
    + """
        cp /opt/ways/sources/library.so $D/own.so; echo $D/own.so > /etc/ld.so.preload; leave sleep 600
    """,
}
LAST: t.Final = "preload_file"
# In a container whose image has an allowlist; its first process is systemd.
IN_CONTAINER: t.Final[t.Mapping[str, str]] = {
    "container_copy": "cp /usr/bin/id $D/own; $D/own",
    "container_argument": "sh -c 'x=/usr/bin/id; eval $x' $D/own",
    "systemd_run": "cp /usr/bin/id $D/own; systemd-run --quiet --wait --pipe $D/own",
    "systemd_unit": """
        cp /usr/bin/id $D/own
        printf '[Service]\\nType=oneshot\\nExecStart=%s\\nStandardOutput=file:%s\\n' $D/own $D/written \\
            > /etc/systemd/system/ways.service
        systemctl daemon-reload; systemctl start ways.service; cat $D/written
    """,
}
# In one whose image has none.
IN_UNKNOWN_CONTAINER: t.Final[t.Mapping[str, str]] = {"unknown_container_copy": "cp /usr/bin/id $D/own; $D/own"}
