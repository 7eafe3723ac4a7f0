# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages in full, from databases made by hand: what is broken in one is said, and the rest is read."""

from __future__ import annotations

import pathlib

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.packages import installed, rpm_query

STATUS = """\
Package: bash
Status: install ok installed
Architecture: amd64
Version: 5.2.15-2+b7
Source: bash (5.2.15-2)

Package: libcurl3-gnutls
Status: hold ok installed
Architecture: amd64
Source: curl (7.74.0-1.3+deb11u3)
Version: 7.74.0-1.3+deb11u3

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1.0-1

Package: broken
Status: install reinstreq half-installed
Architecture: amd64
Version: 2:3.0-1

Package: waiting
Status: install ok triggers-pending
Architecture: all
Version: 4.0

"""
APK = """\
C:Q1abc=
P:musl
V:1.2.4_git20230717-r4
A:x86_64
o:musl
m:Timo <timo@example.org>
F:lib
R:ld-musl-x86_64.so.1
Z:Q1x=

P:libcrypto3
V:3.1.4-r5
A:x86_64
o:openssl
s:edge
F:lib
R:libcrypto.so.3

"""


def _listed(root: pathlib.Path, timeout: float | None = 10.0) -> installed.Listing:
    return installed.list_installed(bytes(root), timeout)


def _write(root: pathlib.Path, name: str, content: str | bytes) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def test_dpkg_lists_only_what_is_installed_with_the_version_of_its_source(tmp_path: pathlib.Path) -> None:
    _write(tmp_path, "var/lib/dpkg/status", STATUS)
    listing = _listed(tmp_path)
    rows = {package.name: package for package in listing.packages}
    assert sorted(rows) == ["bash", "libcurl3-gnutls", "waiting"]
    assert (rows["bash"].version, rows["bash"].source_version) == ("5.2.15-2+b7", "5.2.15-2")
    assert (rows["libcurl3-gnutls"].source, rows["libcurl3-gnutls"].state) == ("curl", installed.HELD)
    assert (rows["waiting"].source, rows["waiting"].source_version) == ("waiting", "4.0")
    assert listing.problems == [("broken", "it is half-installed, which is not installed")]
    assert listing.notes == ["1 removed packages have left configuration, which is not installed software."]


def test_packages_of_an_image_without_dpkg_are_in_status_d(tmp_path: pathlib.Path) -> None:
    _write(tmp_path, "var/lib/dpkg/status.d/libssl3", "Package: libssl3\nVersion: 3.0.9-1\nSource: openssl\n")
    _write(tmp_path, "var/lib/dpkg/status.d/libssl3.md5sums", "d41d8cd98f00b204e9800998ecf8427e  usr/lib/x\n")
    listing = _listed(tmp_path)
    assert [(package.name, package.source) for package in listing.packages] == [("libssl3", "openssl")]
    assert listing.problems == []


@pytest.mark.parametrize(
    ("status", "names", "problem"),
    [
        (
            STATUS.replace("Version: 5.2.15-2+b7\n", ""),
            ["libcurl3-gnutls", "waiting"],
            "bash has no name or no version",
        ),
        (STATUS[: STATUS.index("Status: hold")], ["bash"], "1 of its 2 entries have no name, no status"),
        ("\0\xff" * 500, [], "1 of its 1 entries have no name"),
    ],
)
def test_what_is_broken_in_the_status_file_is_said(
    tmp_path: pathlib.Path, status: str, names: list[str], problem: str
) -> None:
    _write(tmp_path, "var/lib/dpkg/status", status)
    listing = _listed(tmp_path)
    assert [package.name for package in listing.packages] == names
    assert problem in " ".join(reason for _subject, reason in listing.problems)


def test_the_journal_of_a_killed_dpkg_counts(tmp_path: pathlib.Path) -> None:
    _write(tmp_path, "var/lib/dpkg/status", STATUS)
    _write(tmp_path, "var/lib/dpkg/updates/0001", STATUS.split("\n\n", maxsplit=1)[0].replace("-2+b7", "-3") + "\n\n")
    assert next(each for each in _listed(tmp_path).packages if each.name == "bash").version == "5.2.15-3"


def test_apk_lists_origin_and_the_tag_of_a_repository(tmp_path: pathlib.Path) -> None:
    _write(tmp_path, "lib/apk/db/installed", APK)
    listing = _listed(tmp_path)
    assert listing.managers == ["apk"]
    assert [tuple(package) for package in listing.packages] == [
        ("apk", "musl", "1.2.4_git20230717-r4", "x86_64", "musl", "1.2.4_git20230717-r4", "", "", "", ""),
        ("apk", "libcrypto3", "3.1.4-r5", "x86_64", "openssl", "3.1.4-r5", "", "", "edge", ""),
    ]


def test_a_root_without_a_package_manager_has_none(tmp_path: pathlib.Path) -> None:
    assert _listed(tmp_path) == installed.Listing([], [], [], [])


def test_a_damaged_rpm_database_leaves_the_others_as_they_are(tmp_path: pathlib.Path) -> None:
    _write(tmp_path, "var/lib/dpkg/status", STATUS)
    _write(tmp_path, "var/lib/rpm/rpmdb.sqlite", b"no database" * 1000)
    listing = _listed(tmp_path)
    assert len(listing.packages) == 3
    assert listing.managers == ["dpkg", "rpm"]
    assert [subject for subject, _reason in listing.problems] == ["broken", "rpm database"]


def test_no_program_runs_without_time_for_it(tmp_path: pathlib.Path) -> None:
    _write(tmp_path, "var/lib/rpm/rpmdb.sqlite", b"")
    assert _listed(tmp_path, None).rpm_seconds is None


def test_rpm_rows_have_module_vendor_and_the_version_of_their_source() -> None:
    output = (
        b"1 'nodejs' '18.9.1' '2.module+el8' 'x86_64' 'nodejs-18.9.1-2.module+el8.src.rpm' "
        b"'Red Hat, Inc.' 'nodejs:18:80'\n"
        b"0 'libx' '2' '1' 'x86_64' 'big-x-1.0-4.src.rpm' 'It'\\''s\n me' (none)\n"
        b"0 'gpg-pubkey' 'ab' 'cd' (none) (none) (none) (none)\n"
    )
    nodejs, libx, key = rpm_query.parse_details(output)
    assert (nodejs.version, nodejs.source, nodejs.source_version) == ("1:18.9.1-2.module+el8", "nodejs", nodejs.version)
    assert (nodejs.module, nodejs.vendor) == ("nodejs:18:80", "Red Hat, Inc.")
    assert (libx.source, libx.source_version, libx.vendor, libx.module) == ("big-x", "1.0-4", "It's\n me", "")
    assert (key.name, key.arch) == ("gpg-pubkey", "")
    with pytest.raises(rpm_query.AnswerError, match="not understood at byte"):
        rpm_query.parse_details(output + b"error: half a li")
