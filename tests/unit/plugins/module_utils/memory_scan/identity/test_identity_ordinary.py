# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nothing above informational is said of what runs on ordinary hosts: processes as they are seen on real ones."""

from __future__ import annotations

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils._proc_status import Capabilities
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import Process
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.proc import details

from tests.unit.plugins.module_utils.memory_scan._processes import (
    ALL,
    MOUNTS,
    FakeHost,
    FakeSurroundings,
    connection,
    file,
    graded,
    listener,
    number_of,
    process,
    signs,
)

_NET = Capabilities(1 << 13, 1 << 13, 0, ALL, 1 << 13)
_SYS = Capabilities(1 << 21, 1 << 21, 0, ALL, 0)
_PIPES = {0: "pipe:[1]", 1: "pipe:[2]", 2: "pipe:[3]"}
_UNIX = {0: "socket:[1]", 1: "socket:[1]", 2: "socket:[2]"}
_TTY = {0: "/dev/pts/0", 1: "/dev/pts/0", 2: "/dev/pts/0", 255: "/dev/pts/0"}

INIT = process("/usr/lib/systemd/systemd", "/sbin/init", pid=1, parent=0, name="systemd")
KTHREADD = process(None, pid=2, parent=0, name="kthreadd", flags=0x208040)
SSHD = process("/usr/sbin/sshd", "sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups", pid=10)
SESSION = process("/usr/lib/openssh/sshd-session", "sshd-session: ada@notty", pid=11, parent=10, name="sshd-session")
SHELL = process("/usr/bin/bash", "-bash", pid=12, parent=11, user=1000, files=_TTY)
MANAGER = process("/usr/lib/systemd/systemd", "/usr/lib/systemd/systemd", "--user", pid=13, user=1000)
SUDO = process("/usr/bin/sudo", "sudo", "-i", pid=14, parent=12, mode=0o4755, user=(0, 0, 0, 0))
SHIM = process("/usr/bin/containerd-shim-runc-v2", "/usr/bin/containerd-shim-runc-v2", "-namespace", "moby", pid=15)
RUNNER = process("/opt/actions-runner/bin/Runner.Worker", pid=16, user=1001, owner=1001)
GO = process("/usr/lib/go-1.24/bin/go", "go", "test", "./...", pid=17, user=1000, parent=12)
CARGO = process(
    "/home/ada/.rustup/toolchains/stable/bin/cargo", "cargo", "test", pid=18, user=1000, owner=1000, parent=12
)
PYTEST = process("/usr/bin/python3.13", "python3", "/usr/bin/pytest", "-q", pid=19, user=1000, parent=12)
CRON = process("/usr/sbin/cron", "/usr/sbin/cron", "-f", pid=20)
DBUS = process("/usr/bin/dbus-daemon", "@dbus-daemon", "--system", pid=21, user=101)
GNOME = process("/usr/bin/gnome-shell", pid=22, user=1000, parent=13)
DNSMASQ = process("/usr/sbin/dnsmasq", "/usr/sbin/dnsmasq", "--conf-file=/x", pid=23, user=102, inode=5)
APPIMAGE = process("/home/ada/Editor.AppImage", pid=24, user=1000, owner=1000)
ANSIBLE = process(
    "/usr/bin/python3.13",
    "/usr/bin/python3",
    "/usr/bin/ansible-playbook",
    "x.yml",
    pid=25,
    name="ansible-playboo",
    parent=12,
    user=1000,
)
TMUX = process("/usr/bin/tmux", "tmux", name="tmux: server", pid=26, user=1000, parent=13)
CELERY = process("/usr/bin/python3.13", "[celeryd: celery@host:MainProcess] -active- (worker)", pid=27, name="celery")

_CONTAINER = {"container": "a" * 64, "mounts": 777}
_PEERS = (
    INIT,
    KTHREADD,
    SSHD,
    SESSION,
    SHELL,
    MANAGER,
    SUDO,
    SHIM,
    RUNNER,
    GO,
    CARGO,
    PYTEST,
    CRON,
    DBUS,
    GNOME,
    DNSMASQ,
)
_PEERS += (APPIMAGE, ANSIBLE, TMUX, CELERY)

ORDINARY: dict[str, Process] = {
    "init": INIT,
    "kernel thread": process(None, name="kworker/0:1", parent=2, flags=0x4208060),
    "sshd": SSHD,
    "session of sshd": SESSION,
    "login shell": SHELL,
    "user's systemd": MANAGER,
    "sd-pam": process("/usr/lib/systemd/systemd", "(sd-pam)", name="(sd-pam)", user=1000, parent=13),
    "executor": process("/usr/lib/systemd/systemd-executor", "(sh)", name="(sh)"),
    "udev goes by its old name": process("/usr/bin/udevadm", "/usr/lib/systemd/systemd-udevd", name="systemd-udevd"),
    "journal": process("/usr/lib/systemd/systemd-journald", name="systemd-journal"),
    "networkd": process(
        "/usr/lib/systemd/systemd-networkd",
        name="systemd-network",
        user=998,
        capabilities=_NET,
        files={3: "socket:[77]"},
    ),
    "timesyncd": process("/usr/lib/systemd/systemd-timesyncd", name="systemd-timesyn", user=997),
    "cron": CRON,
    "cron's child": process("/usr/sbin/cron", "/usr/sbin/CRON", "-f", name="cron", parent=20),
    "dbus": DBUS,
    "getty": process("/usr/sbin/agetty", "/sbin/agetty", "-o", "-- \\u", "--noclear", "-", "linux"),
    "login": process("/usr/bin/login", "/bin/login -p --", name="login"),
    "nginx": process("/usr/sbin/nginx", "nginx: master process /usr/sbin/nginx -g daemon on;"),
    "nginx's worker": process("/usr/sbin/nginx", "nginx: worker process", user=33),
    "nginx of one's own": process("/opt/nginx/sbin/nginx", "nginx: master process /opt/nginx/sbin/nginx"),
    "apache": process("/usr/sbin/apache2", "/usr/sbin/apache2", "-k", "start", user=33),
    "apache as httpd": process("/usr/sbin/apache2", "/usr/sbin/httpd", "-DFOREGROUND", name="httpd"),
    "postgres": process("/usr/lib/postgresql/17/bin/postgres", "postgres: 17/main: background writer ", user=103),
    "mariadb": process("/usr/sbin/mariadbd", "/usr/sbin/mysqld", name="mysqld", user=104),
    "php-fpm": process("/usr/sbin/php-fpm8.4", "php-fpm: pool www", user=33),
    "exim": process("/usr/sbin/exim4", "/usr/sbin/exim4", "-bd", user=(105, 0, 0, 0), mode=0o4755),
    "redis": process("/usr/bin/redis-check-rdb", "/usr/bin/redis-server 127.0.0.1:6379", name="redis-server", user=106),
    "busybox as a daemon": process("/usr/bin/busybox", "crond", "-f", name="crond"),
    "java": process("/usr/lib/jvm/java-21/bin/java", "java", "-jar", "/opt/app.jar", user=1000),
    "spamd pads its title": process("/usr/bin/perl", "spamd child" + " " * 30, name="spamd child", user=107),
    "celery": process(
        "/usr/bin/python3.13", "[celeryd: celery@host:ForkPoolWorker-1]", "", "", name="celery", parent=27
    ),
    "lxc's monitor": process("/usr/bin/lxc-start", "[lxc monitor] /var/lib/lxc web", name="lxc-start"),
    "gunicorn": process("/usr/bin/python3.13", "gunicorn: worker [app]", name="gunicorn", user=33, files=_PIPES),
    "a script named as a daemon": process("/usr/bin/dash", "/bin/sh", "/etc/init.d/cron", "start", name="cron"),
    "salt": process(
        "/usr/bin/python3.13", "/usr/bin/python3 /usr/bin/salt-minion MultiMinionProcessManager", name="salt-minion"
    ),
    "npm": process("/usr/bin/node", "npm run build ap", name="npm run build a", user=1000),
    "npm, cut at a space": process("/usr/bin/node", "npm run builder x", name="npm run builde ", user=1000),
    "name in another language": process("/home/ada/программа", "программа", name="программа", user=1000, owner=1000),
    "name cut within a letter": process("/home/ada/x", name="программа".encode()[:15], user=1000, owner=1000),
    "browser": process("/usr/lib/firefox-esr/firefox-esr", name="Isolated Web Co", user=1000, user_namespace=555),
    "chrome's wrapper": process("/opt/google/chrome/chrome", "/opt/google/chrome/chrome", "--type=zygote", user=1000),
    "chrome's sandbox": process("/opt/google/chrome/chrome-sandbox", user=(1000, 0, 0, 0), mode=0o4755),
    "snap": process(
        "/snap/firefox/5/usr/lib/firefox/firefox", user=1000, mounts=300, file_system="squashfs", device=99
    ),
    "flatpak": process("/app/bin/gedit", user=1000, mounts=301, device=98, owner=1000),
    "bubblewrap": process("/usr/bin/bwrap", user=1000, user_namespace=556, capabilities=_SYS),
    "editor's server": process("/home/ada/.vscode-server/bin/abc/node", user=1000, owner=1000),
    "go run": process("/tmp/go-build123/b001/exe/main", user=1000, owner=1000, parent=17),
    "go test": process("/tmp/go-build123/b001/pkg.test", user=1000, owner=1000, parent=17),
    "cargo's test": process("/tmp/target/debug/deps/x-1", user=1000, owner=1000, parent=18),
    "built by a test": process("/tmp/pytest-of-ada/pytest-0/x/prog", user=1000, owner=1000, parent=19),
    "AppImage": process(
        "/tmp/.mount_EditorAb12/usr/bin/editor", user=1000, owner=1000, file_system="fuse.AppRun", parent=24
    ),
    "AppImage that isn't asked": process(
        "/tmp/.mount_EditorAb12/usr/bin/editor",
        user=1000,
        parent=24,
        status=None,
        unreadable={"status": details.not_asked("fuse.Editor.AppImage")},
    ),
    "AppImage's loader": process(
        "/tmp/.mount_EditorAb12/ld-linux-x86-64.so.2", "x", user=1000, file_system="fuse", parent=24
    ),
    "shell of a container": process("/usr/bin/bash", "bash", parent=15, files=_PIPES, device=88, **_CONTAINER),
    "program of a container": process("/app/server", parent=15, device=88, **_CONTAINER),
    "pause": process("/pause", "/pause", parent=15, device=88, user=65535, **_CONTAINER),
    "container's init": process("/usr/sbin/docker-init", "/sbin/docker-init", "--", "sh", parent=15, **_CONTAINER),
    "sudo": SUDO,
    "shell of sudo": process("/usr/bin/bash", "-bash", parent=14, files=_TTY),
    "sudo left it to the user's systemd": process("/usr/bin/sleep", "sleep", "1000", parent=13),
    "tmux with root's shell in it": process("/usr/bin/su", "su", "-", parent=26, mode=0o4755, user=(1000, 0, 0, 0)),
    "pkexec": process("/usr/sbin/synaptic", parent=22),
    "activated by dbus": process("/usr/libexec/fprintd", parent=21),
    "X server": process("/usr/lib/xorg/Xorg", parent=22),
    "dnsmasq's helper": process("/usr/sbin/dnsmasq", "/usr/sbin/dnsmasq", parent=23, inode=5),
    "ping": process("/usr/bin/ping", "ping", "::1", user=1000, capabilities=_NET, files={3: "socket:[77]"}),
    "tcpdump": process("/usr/bin/tcpdump", user=108, files={3: "socket:[77]"}),
    "dhclient": process("/usr/sbin/dhclient", files={5: "socket:[77]"}),
    "rtkit": process("/usr/libexec/rtkit-daemon", user=109, capabilities=Capabilities(1 << 19, 1 << 19, 0, ALL, 0)),
    "Ansible's pipelining": process("/usr/bin/python3.13", "/usr/bin/python3", parent=11, files=_PIPES),
    "Ansible's pipelining, connected": process(
        "/usr/bin/python3.13", "/usr/bin/python3", parent=11, files={**_PIPES, 5: "socket:[9]"}
    ),
    "Ansible's pipelining with sudo": process("/usr/bin/python3.13", "/usr/bin/python3", parent=14, files=_UNIX),
    "Ansible here": process("/usr/bin/python3.13", "/usr/bin/python3", parent=25, user=1000, files=_PIPES),
    "Ansible's module": process(
        "/usr/bin/python3.13", "/usr/bin/python3", "/root/.ansible/tmp/x/AnsiballZ_setup.py", parent=11
    ),
    "Ansible": ANSIBLE,
    "ssh HOST bash -s": process("/usr/bin/bash", "bash", "-s", parent=11, user=1000, files=_UNIX),
    "job of CI": process("/usr/bin/bash", "bash", "--login", parent=16, user=1001, files=_PIPES),
    "job's script": process(
        "/usr/bin/bash", "bash", "-e", "/home/runner/_temp/a.sh", parent=16, user=1001, files=_PIPES
    ),
    "command of cron": process("/usr/bin/dash", "/bin/sh", "-c", "date | mail root", parent=20, files=_PIPES),
    "python -c": process("/usr/bin/python3.13", "python3", "-Ic", "pass", user=1000, files=_PIPES),
    "python -m": process("/usr/bin/python3.13", "python3", "-m", "http.server", user=1000, files=_PIPES),
    "perl -ne": process("/usr/bin/perl", "perl", "-ne", "print", user=1000, files=_PIPES),
    "node with an option": process("/usr/bin/node", "node", "-r", "x", "/srv/app.js", user=1000, files=_PIPES),
    "here-document": process(
        "/usr/bin/python3.13", "python3", "-", parent=12, user=1000, files={0: "/tmp/sh-thd.Ab (deleted)"}
    ),
    "upgraded": process("/usr/sbin/nginx", "nginx: worker process", user=33, deleted=True),
    "upgraded in a private place": process("/usr/sbin/apache2", user=33, deleted=True, mounts=302),
    "upgraded, with rpm's name": process(
        "/usr/sbin/nginx;5f3a1b2c", "nginx: worker process", name="nginx", deleted=True
    ),
    "upgraded shell": process("/usr/bin/dash", "/bin/sh", "/usr/bin/x", name="x", deleted=True),
    "upgraded init": process("/usr/lib/systemd/systemd", "/sbin/init", pid=1, parent=0, name="systemd", deleted=True),
    "rebuilt": process("/home/ada/src/prog", user=1000, owner=1000, deleted=True),
    "replaced in a container": process("/usr/bin/nginx", deleted=True, device=88, **_CONTAINER),
    "live system": process("/usr/bin/vim.basic", file_system="tmpfs", device=2049),
    "NixOS's wrapper": process(
        "/run/wrappers/bin/mount", mode=0o4755, user=(1000, 0, 0, 0), file_system="tmpfs", device=70
    ),
    "container on tmpfs": process("/usr/bin/x", file_system="tmpfs", device=71, **_CONTAINER),
    "qemu in a container": process(
        "/usr/bin/qemu-aarch64-static", "/usr/bin/qemu-aarch64-static", "/usr/sbin/nginx", name="nginx", **_CONTAINER
    ),
    "wine": process(
        "/usr/lib/wine/wine64-preloader", "C:\\windows\\system32\\services.exe", name="services.exe", user=1000
    ),
    "rootless container": process("/usr/bin/nginx", user=100_000, user_namespace=557, capabilities=_SYS, **_CONTAINER),
    "unit with rights": process(
        "/usr/bin/python3.13",
        "python3",
        "/opt/x.py",
        user=110,
        capabilities=Capabilities(1 << 21, 1 << 21, 1 << 21, ALL, 1 << 21),
    ),
    "ended": process(None, name="sh", state="Z"),
    "ending": process(None, "", name="kthing", state="S"),
}


def _host(one: Process) -> FakeHost:
    there = {
        b"/usr/sbin/nginx": file(901),
        b"/usr/sbin/apache2": file(902),
        b"/usr/bin/dash": file(903),
        b"/usr/bin/nginx": file(904),
        b"/usr/lib/systemd/systemd": file(905),
        b"/home/ada/src/prog": file(906, owner=1000),
        b"/usr/lib/systemd/systemd-udevd": file(number_of(b"/usr/bin/udevadm")),
    }
    around = FakeSurroundings(
        there,
        {b"/bin/sh": b"/usr/bin/dash"},
        installed=1_000_000.0 + 10_000,
        inside={b"/usr/bin/nginx": file(904, device=88), b"/": file(2, device=71)},
    )
    sockets = (
        {one.pid: [listener("packet"), connection(9)]}
        if any(f.target in (b"socket:[77]", b"socket:[9]") for f in one.files)
        else {}
    )
    return FakeHost([*_PEERS, one], around, sockets)


@pytest.mark.parametrize("what", ORDINARY)
def test_ordinary_processes_are_left_in_peace(what: str) -> None:
    one = ORDINARY[what]
    assert [each for each in graded(signs(one, _host(one))) if each[2] != "informational"] == []


def test_most_of_it_is_not_even_mentioned() -> None:
    mentioned = {what for what, one in ORDINARY.items() if signs(one, _host(one))}
    assert mentioned == {
        "AppImage",
        "AppImage that isn't asked",
        "AppImage's loader",
        "built by a test",
        "cargo's test",
        "go run",
        "go test",
        "pkexec",
        "rebuilt",
        "replaced in a container",
        "sudo left it to the user's systemd",
        "unit with rights",
        "Ansible's pipelining, connected",
    }


@pytest.mark.parametrize(
    "what", ["login shell", "java", "nginx's worker", "postgres", "snap", "program of a container"]
)
def test_packages_are_not_asked_without_a_reason(what: str) -> None:
    host = _host(ORDINARY[what])
    signs(ORDINARY[what], host)
    assert host.asked == []


def test_namespaces_that_are_not_known_are_the_hosts() -> None:
    one = process("/usr/bin/vim", namespaces={}, unreadable={"namespaces": "Permission denied"})
    assert signs(one, FakeHost([one])) == []
    assert FakeSurroundings().mount_namespace == MOUNTS
