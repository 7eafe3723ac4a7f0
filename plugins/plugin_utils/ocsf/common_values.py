# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values that nearly every host has, such as root or /bin/bash: that two findings show one of them says nothing."""

from __future__ import annotations

import hashlib
import ipaddress
import re

ACCOUNTS = frozenset(
    (
        *("root", "nobody", "daemon", "bin", "sys", "sync", "games", "man", "lp", "mail", "news", "uucp", "proxy"),
        *("adm", "operator", "ftp", "www-data", "backup", "list", "irc", "gnats", "nfsnobody", "shutdown", "halt"),
        *("apache", "nginx", "http", "wwwrun", "mysql", "postgres", "redis", "sshd", "messagebus", "dbus"),
        *("polkitd", "ntp", "chrony", "_chrony", "tss", "rpc", "rpcuser", "statd", "syslog", "avahi", "unbound"),
        *("named", "bind", "postfix", "dovecot", "exim", "debian-exim", "uuidd", "landscape", "pollinate"),
        *("tcpdump", "sssd", "ldap", "system", "nt authority\\system", "local service", "network service"),
        *("administrator", "guest", "unset"),
    )
)
# Without a version at the end of the name: python3.13 is python.
PROGRAMS = frozenset(
    (
        *("sh", "bash", "dash", "ash", "zsh", "ksh", "mksh", "csh", "tcsh", "fish", "busybox", "env", "script"),
        *("expect", "python", "perl", "ruby", "node", "nodejs", "php", "php-fpm", "lua", "java", "pwsh", "awk"),
        *("gawk", "mawk", "systemd", "init", "systemd-executor", "systemd-logind", "systemd-udevd"),
        *("systemd-journald", "dbus-daemon", "cron", "crond", "atd", "anacron", "run-parts", "login", "su", "sudo"),
        *("doas", "pkexec", "runuser", "agetty", "sshd", "sshd-session", "sshd-auth", "ssh", "scp", "sftp"),
        *("sftp-server", "screen", "tmux", "setsid", "nohup", "dockerd", "containerd", "containerd-shim"),
        *("containerd-shim-runc-v", "runc", "crun", "conmon", "podman", "docker", "kubelet", "tini", "dumb-init"),
        *("apt", "apt-get", "dpkg", "dnf", "yum", "rpm", "zypper", "apk", "cat", "chattr", "chgrp", "chmod"),
        *("chown", "cp", "cut", "date", "dd", "df", "du", "echo", "find", "free", "grep", "egrep", "fgrep"),
        *("gunzip", "gzip", "head", "id", "install", "kill", "less", "ln", "ls", "lsattr", "mkdir", "mktemp"),
        *("more", "mount", "mv", "nice", "od", "pgrep", "pkill", "ps", "pwd", "readlink", "rm", "rmdir", "sed"),
        *("sleep", "sort", "stat", "tail", "tar", "tee", "test", "timeout", "touch", "tr", "true", "umount"),
        *("uname", "uniq", "vi", "vim", "nano", "wc", "which", "who", "whoami", "xargs", "xz", "unzip", "zip"),
        *("base64", "curl", "wget", "git", "rsync", "openssl", "nc", "ncat", "netcat", "socat", "ip", "ss"),
        *("netstat", "ping", "dig", "host", "nslookup", "hostname", "iptables", "nft", "modprobe", "insmod"),
        *("kmod", "lsmod", "useradd", "usermod", "userdel", "groupadd", "passwd", "chpasswd", "crontab", "at"),
        *("systemctl", "service", "journalctl", "logger", "rsyslogd", "auditd", "nginx", "apache", "httpd"),
        *("mysqld", "postgres", "redis-server"),
    )
)
_FOLDERS = frozenset(
    (
        *("/bin", "/sbin", "/usr/bin", "/usr/sbin", "/usr/libexec", "/lib/systemd", "/usr/lib/systemd"),
        *("/usr/lib/openssh", "/usr/libexec/openssh"),
    )
)
_FILES = frozenset(
    (
        *("/", "/dev/null", "/dev/tty", "/dev/zero", "/dev/random", "/dev/urandom", "/dev/mem", "/proc", "/etc"),
        *("/root", "/etc/passwd", "/etc/passwd-", "/etc/shadow", "/etc/shadow-"),
        *("/etc/group", "/etc/gshadow", "/etc/sudoers", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf"),
        *("/etc/fstab", "/etc/crontab", "/etc/profile", "/etc/ssh/sshd_config", "/etc/ssh/ssh_config"),
        *("/etc/ld.so.conf", "/etc/ld.so.cache", "/etc/environment", "/etc/bash.bashrc", "/etc/bashrc"),
        *("/etc/login.defs", "/etc/nsswitch.conf", "/etc/sysctl.conf", "/etc/fuse.conf", "/etc/pam.d/sshd"),
        *("/etc/pam.d/su", "/etc/pam.d/sudo", "/etc/pam.d/common-auth", "/etc/pam.d/system-auth"),
        *("/etc/pam.d/common-account", "/etc/pam.d/common-password", "/etc/pam.d/common-session"),
        *("/etc/pam.d/login", "/etc/audit/auditd.conf", "/etc/audit/audit.rules", "/etc/rsyslog.conf"),
        *("/etc/selinux/config", "/root/.bashrc", "/root/.profile", "/root/.bash_profile", "/root/.bash_history"),
        *("/root/.ssh/authorized_keys", "/var/run/docker.sock", "/run/docker.sock", "/etc/docker/daemon.json"),
        *("/var/log/wtmp", "/var/log/btmp", "/var/log/lastlog", "/var/log/auth.log", "/var/log/secure"),
        *("/var/log/syslog", "/var/log/messages", "/var/log/audit/audit.log", "/var/lib/dpkg/status"),
        *("/boot/grub/grub.cfg", "/boot/grub2/grub.cfg"),
    )
)
HOSTNAMES = frozenset(
    ("localhost", "localhost.localdomain", "localhost4", "localhost6", "ip6-localhost", "ip6-loopback")
)
# Of an empty file, and what stands for no digest.
DIGESTS = frozenset(
    digest
    for empty in (hashlib.new(name, usedforsecurity=False).hexdigest() for name in ("md5", "sha1", "sha256", "sha512"))
    for digest in (empty, "0" * len(empty))
)
# Public resolvers, which hosts of all kinds ask.
_RESOLVERS = frozenset(
    (
        *("1.1.1.1", "1.0.0.1", "8.8.8.8", "8.8.4.4", "9.9.9.9", "149.112.112.112", "208.67.222.222"),
        *("208.67.220.220", "2606:4700:4700::1111", "2606:4700:4700::1001", "2001:4860:4860::8888"),
        *("2001:4860:4860::8844", "2620:fe::fe"),
    )
)
_VERSION = re.compile(r"-?[0-9][0-9.]*$")


def is_common_account(name: str) -> bool:
    """Return whether nearly every host has an account of this name, which names no person."""
    name = name.lower()
    return name in ACCOUNTS or name.startswith("systemd-") or name.isdecimal()


def is_common_program(name: str) -> bool:
    """Return whether nearly every host runs a program of this name. A name with a version is that without it."""
    name = name.removeprefix("-").lower()
    return name in PROGRAMS or _VERSION.sub("", name) in PROGRAMS


def is_common_path(path: str) -> bool:
    """Return whether nearly every host has this file: a program where systems have it, or one of the system's own."""
    if path in _FILES:
        return True
    folder, _slash, name = path.rpartition("/")
    return folder in _FOLDERS and is_common_program(name)


def is_common_address(text: str) -> bool:
    """Return whether an address is the host itself, a whole network, none, or a public resolver."""
    if text in _RESOLVERS:
        return True
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified or address.is_multicast or address.is_link_local
