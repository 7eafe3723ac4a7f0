# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file system that the attacked hosts begin with: a web server, accounts and jobs that are half a year old.

A host that was installed a minute ago would hide what an attack changed among thousands of files that changed as well.
Only debugfs(8) can set all times of a file.
"""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sys
import time
import typing as t

from tests.integration.investigation import _noise
from tests.support import paths, waiting
from tests.support.enforcing_image import build_image, run_command

PACKAGES = ("curl", "lighttpd")
_AGE = 180 * 86_400
_DATED = ("etc", "root", "home", "opt", "srv", "usr/local", "usr/bin", "usr/sbin", "usr/lib", "var", "boot", "dev")
# Starts the commands that are given, and reaps what they leave behind.
_INIT = r"""
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
int main(int count, char **commands) {
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    for (int number = 1; number < count; number++)
        if (!fork()) execl("/bin/sh", "sh", "-c", commands[number], (char *)0);
    for (;;) if (wait(0) < 0) pause();
}
"""
_SETUP = """
for name in alice bob deploy; do
    useradd --create-home --shell /bin/bash "$name"
    install -d -m 0700 -o "$name" -g "$name" "/home/$name/.ssh"
done
echo 'alice ALL=(ALL:ALL) NOPASSWD: ALL' > /etc/sudoers.d/alice
echo 'deploy ALL=(ALL:ALL) NOPASSWD: /usr/bin/install, /usr/bin/systemctl' > /etc/sudoers.d/deploy
chmod 0440 /etc/sudoers.d/alice /etc/sudoers.d/deploy
mkdir -p /var/www/html/uploads /opt/app/bin /srv/app /var/lib/app
chown www-data: /var/www/html/uploads /var/lib/app
chown -R deploy: /srv/app
sed -i 's/^module(load="imklog".*//' /etc/rsyslog.conf
systemctl --quiet enable lighttpd.service
ln -s /etc/systemd/system/report.service /etc/systemd/system/multi-user.target.wants/report.service
ln -sf ../conf-available/10-accesslog.conf /etc/lighttpd/conf-enabled/
rm -f /usr/sbin/policy-rc.d
echo "127.0.1.1 $(uname -n)" >> /etc/hosts
"""


# The first process of an audited host. It has the name of what is there on most hosts.
INIT: t.Final = "/usr/local/sbin/init"


def make(directory: pathlib.Path, keys: t.Mapping[str, str]) -> pathlib.Path:
    """Return a file system below ``directory``, of which each host gets a copy or an overlay.

    keys: the public one of each account.
    """
    image = build_image(PACKAGES)
    source = directory / "init.c"
    source.write_text(_INIT)
    run_command(["gcc", "-O1", "-static", "-o", str(directory / "init"), str(source)])
    file, root = directory / "base.ext3", directory / "base"
    run_command(["cp", "--sparse=always", str(image.file), str(file)])
    root.mkdir()
    # In a mount namespace of its own: others that begin meanwhile would have a copy of the mount, and keep it.
    inside = [sys.executable, "-m", __name__, str(file), str(root), str(directory / "init"), json.dumps(dict(keys))]
    done = subprocess.run(
        ["unshare", "--mount", "--fork", *inside], cwd=paths.ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    _date(file, json.loads(done.stdout), int(time.time()) - _AGE)
    return file


def mount(file: pathlib.Path, point: pathlib.Path, options: str) -> None:
    """Mount the file system; two that look for a loop device at once may choose the same one."""
    command = ["mount", "-t", "ext3", "-o", f"loop,{options}", str(file), str(point)]
    waiting.until(lambda: run_command(command, check=False).returncode == 0, f"{file} cannot be mounted", 10)


def _fill(file: pathlib.Path, root: pathlib.Path, init: str, keys: t.Mapping[str, str]) -> list[int]:
    """Write what the hosts have, and return the inodes of all that is to be old."""
    mount(file, root, "noatime")
    try:
        run_command(["chroot", str(root), "/bin/sh", "-euc", _SETUP])
        shutil.copy(init, root / INIT.lstrip("/"))
        for path, (content, mode) in _noise.FILES.items():
            target = root / path.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(content)
            target.chmod(mode)
        for name, public in keys.items():
            file_of_keys = root / "home" / name / ".ssh" / "authorized_keys"
            file_of_keys.write_text(f"{public}\n")
            os.chown(file_of_keys, *_owner(root / "home" / name))
            file_of_keys.chmod(0o600)
        with (root / "var/log/auth.log").open("a") as log:
            log.writelines(_earlier_sign_ins(root / "home", keys))
        found = [_inode(root), *(_inode(path) for name in _DATED for path in sorted((root / name).rglob("*")))]
        return list(dict.fromkeys(found))
    finally:
        run_command(["umount", str(root)])


def _earlier_sign_ins(homes: pathlib.Path, keys: t.Iterable[str]) -> t.Iterator[str]:
    """Yield the lines of sign-ins of the last days, as everybody works on the host."""
    for day in (5, 4, 3, 2):
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(time.time() - day * 86_400))
        for number, name in enumerate(keys):
            key = run_command(
                ["ssh-keygen", "-l", "-f", str(homes / name / ".ssh" / "authorized_keys")]
            ).stdout.split()[1]
            text = f"Accepted publickey for {name} from 10.99.0.1 port 50{number} ssh2: ED25519 {key}"
            yield f"{stamp} debian sshd-session[{900 + number}]: {text}\n"


def _owner(path: pathlib.Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_uid, status.st_gid


def _inode(path: pathlib.Path) -> int:
    return os.lstat(path).st_ino


def _date(file: pathlib.Path, inodes: t.Sequence[int], at: int) -> None:
    """Set when these were made and changed."""
    # Not all at once, which would look as if somebody had set them.
    times = {inode: at - inode % 80_000 for inode in inodes}
    fields = ("ctime", "crtime", "mtime")
    script = "".join(f"sif <{inode}> {field} @{time_}\n" for inode, time_ in times.items() for field in fields)
    done = subprocess.run(
        ["debugfs", "-w", "-f", "-", str(file)], input=script.encode(), capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace")[-2_000:]


if __name__ == "__main__":
    _file, _root, _init, _keys = sys.argv[1:]
    sys.stdout.write(json.dumps(_fill(pathlib.Path(_file), pathlib.Path(_root), _init, json.loads(_keys))))
