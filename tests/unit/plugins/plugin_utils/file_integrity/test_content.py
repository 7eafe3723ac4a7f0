# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.watches import definitions
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError
from ansible_collections.bulwark.servers.plugins.plugin_utils.file_integrity import content as file_integrity
from ansible_collections.bulwark.servers.plugins.plugin_utils.file_integrity import fields as file_integrity_fields

from tests.content.file_integrity import harness

# What Defender for servers watches on Linux by default, as a path that each entry must cover.
DEFENDER = [
    "/bin/login",
    "/bin/passwd",
    "/etc/foo.conf",
    "/usr/bin/foo",
    "/usr/sbin/foo",
    "/bin/foo",
    "/sbin/foo",
    "/boot/foo",
    "/usr/local/bin/foo",
    "/usr/local/sbin/foo",
    "/opt/bin/foo",
    "/opt/sbin/foo",
    "/etc/crontab",
    "/etc/init.d/foo",
    "/etc/cron.hourly/foo",
    "/etc/cron.daily/foo",
    "/etc/cron.weekly/foo",
    "/etc/cron.monthly/foo",
]

SHOP = {"name": "shop", "paths": ["/srv/shop"]}


def test_the_defaults_are_what_the_module_takes() -> None:
    found = file_integrity.load_watches()
    assert len(definitions.from_options([{"recurse": -1, **watch} for watch in found])) == len(found) > 40
    assert all("description" not in watch for watch in found)


def test_a_caller_cannot_spoil_the_defaults() -> None:
    file_integrity.load_watches()[0]["paths"] = []
    assert file_integrity.load_watches()[0]["paths"]


@pytest.mark.parametrize("path", DEFENDER)
def test_the_defaults_cover_what_defender_watches(path: str) -> None:
    assert harness.owner(path.encode()) is not None


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/usr/bin/ls", "system_programs"),
        ("/usr/lib/x86_64-linux-gnu/libc.so.6", "libraries"),
        ("/usr/lib/x86_64-linux-gnu/security/pam_unix.so", "pam"),
        ("/usr/lib/systemd/system/ssh.service", "systemd_units"),
        ("/usr/lib/systemd/system-generators/x", "systemd_generators"),
        ("/usr/lib/modules/6.1/kernel/x.ko", "kernel_modules"),
        ("/usr/lib/firmware/x.bin", "bulk_files"),
        ("/usr/lib/python3/dist-packages/a/b/c.pth", "python_startup"),
        ("/usr/lib/python3/dist-packages/a/b/c.py", "libraries"),
        ("/etc/ssh/ssh_host_rsa_key", "ssh_host_keys"),
        ("/etc/ssh/sshd_config", "ssh_configuration"),
        ("/etc/ssh/authorized_keys.d/alice", "ssh_central_keys"),
        ("/home/alice/.ssh/authorized_keys2", "ssh_keys"),
        ("/var/spool/cron/crontabs/root", "cron"),
        ("/var/spool/cron/atjobs/a1", "at_jobs"),
        ("/boot/grub2/grubenv", "boot_environment"),
        ("/etc/security/limits.conf", "pam"),
        ("/etc/shadow-", "account_backups"),
        ("/etc/default/grub", "boot"),
        ("/etc/default/ssh", "configuration"),
        ("/etc/letsencrypt/renewal-hooks/deploy/x", "configuration"),
        ("/var/lib/dpkg/info/bash.postinst", "maintainer_scripts"),
    ],
)
def test_the_most_specific_default_owns_a_path(path: str, name: str) -> None:
    assert harness.owner(path.encode()) == name


@pytest.mark.parametrize(
    "path",
    [
        "/home/alice/.ssh/known_hosts",
        "/home/alice/document",
        "/etc/mtab",
        "/etc/lvm/archive/vg0.vg",
        "/etc/letsencrypt/live/x/cert.pem",
        "/etc/security/opasswd",
        "/var/lib/dpkg/info/bash.list",
        "/var/spool/cron/atjobs/.SEQ",
        "/usr/share/doc/bash/README",
        "/var/log/syslog",
    ],
)
def test_what_changes_by_itself_is_left_alone(path: str) -> None:
    assert harness.owner(path.encode()) is None


def test_no_wider_watch_covers_what_one_excludes() -> None:
    excluded = [glob for watch in file_integrity.load_watches() for glob in watch.get("exclude", []) if "/" in glob]
    assert excluded
    assert [glob for glob in excluded if harness.owner(glob.replace("*", "x").encode()) is not None] == []


def test_the_users_watches_come_after_the_defaults_that_are_left() -> None:
    merged = file_integrity.merge_watches(
        [{"name": "one", "paths": ["/a"]}, {"name": "two", "paths": ["/b"]}],
        ["one"],
        [{**SHOP, "alert": "persistence_cron", "techniques": ["T1053.003"], "recurse": "3", "exclude": "*.pyc"}],
    )
    assert [watch["name"] for watch in merged] == ["two", "shop"]
    assert merged[1] == {
        "name": "shop",
        "paths": ["/srv/shop"],
        "alert": {"id": "persistence_cron", "severity": "high"},
        "techniques": ["T1053.003"],
        "recurse": 3,
        "exclude": ["*.pyc"],
    }


def test_a_disabled_default_can_be_replaced_under_its_name() -> None:
    merged = file_integrity.merge_watches([{**SHOP}], ["shop"], [{"name": "shop", "paths": ["/opt/shop"]}])
    assert [watch["paths"] for watch in merged] == [["/opt/shop"]]


def test_disabling_is_fine_where_there_are_no_defaults() -> None:
    assert file_integrity.merge_watches([], ["cron"], [SHOP]) == [SHOP]


@pytest.mark.parametrize(
    ("watch", "message"),
    [
        ({"paths": ["/a"]}, "watches, item 1: name is missing"),
        ("shop", "item 1: 'shop' is not a watch; write one as in {name: shop, paths: [/srv/shop]}"),
        ({"name": "shop"}, "watch 'shop': paths is missing"),
        ({**SHOP, "registry": ["HKLM\\X"]}, "watch 'shop': 'registry' is for Windows hosts only; set this watch in"),
        ({**SHOP, "path": "/a"}, "watch 'shop': 'path' is not a field; there are alert, "),
        ({**SHOP, "paths": ["srv"]}, "watch 'shop': paths: 'srv' is not absolute"),
        ({**SHOP, "paths": ["/srv/../etc"]}, "watch 'shop': paths: '/srv/../etc' has the component '..'"),
        ({**SHOP, "paths": [1]}, "watch 'shop': paths is a list of texts"),
        ({**SHOP, "exclude": ["a/b"]}, "watch 'shop': exclude: 'a/b' is not absolute"),
        ({**SHOP, "recurse": -2}, "watch 'shop': recurse '-2' is not a number of levels"),
        ({**SHOP, "recurse": "all"}, "watch 'shop': recurse 'all' is not a number of levels"),
        ({**SHOP, "recurse": True}, "watch 'shop': recurse 'True' is not a number of levels"),
        ({**SHOP, "attributes": ["contents"]}, "watch 'shop': attributes: 'contents' is not one of type, "),
        ({**SHOP, "hashes": ["crc32"]}, "watch 'shop': hashes: 'crc32' is not one of blake2b, "),
        ({**SHOP, "category": "binary"}, "watch 'shop': category 'binary' is not one of program, "),
        ({**SHOP, "filesystems": "nfs"}, "watch 'shop': filesystems 'nfs' is not one of local, all"),
        (
            {**SHOP, "alert": "cron"},
            "watch 'shop': alert 'cron' is not an alert of file integrity; there are access_control_",
        ),
        ({**SHOP, "techniques": ["T0"]}, "watch 'shop': techniques: ATT&CK technique 'T0' is not listed"),
        ({"name": "cron", "paths": ["/a"]}, "watch 'cron': there is one of this name already"),
    ],
)
def test_an_error_names_the_watch_and_the_field(watch: t.Any, message: str) -> None:
    with pytest.raises(ContentError) as caught:
        file_integrity.merge_watches(file_integrity.load_watches(), [], [watch])
    assert message in str(caught.value)


def test_a_default_that_is_disabled_must_exist() -> None:
    with pytest.raises(ContentError, match="disabled_watches: 'corn' is not a default watch; did you mean cron"):
        file_integrity.merge_watches(file_integrity.load_watches(), ["corn"], [])


def test_one_list_of_disabled_watches_serves_the_hosts_of_all_platforms() -> None:
    disabled = ["cron", "run_keys"]
    for platform, name in ((file_integrity.LINUX, "cron"), (file_integrity.WINDOWS, "run_keys")):
        defaults = file_integrity.load_watches(platform)
        merged = file_integrity.merge_watches(defaults, disabled, [], platform)
        assert [watch["name"] for watch in defaults if watch not in merged] == [name]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"paths": ["/a"]}, "description is missing"),
        ({"description": "x"}, "paths is missing"),
        ({"description": "x", "paths": ["/a"], "check": "magic"}, "check 'magic' is not one of none, packaged_link"),
        ({"description": "x", "paths": ["/a"], "types": ["door"]}, "types: 'door' is not one of file, "),
        ({"description": "x", "paths": ["/a"], "when": "now"}, "'when' is not a field"),
        ({"description": "x", "paths": ["a"]}, "paths: 'a' is not absolute"),
    ],
)
def test_an_error_names_the_rule_and_the_field(fields: dict[str, t.Any], message: str) -> None:
    with pytest.raises(ContentError) as caught:
        file_integrity_fields.checked_rule("cache", fields, "derived.yml: rule 'cache'")
    assert "rule 'cache'" in str(caught.value)
    assert message in str(caught.value)
