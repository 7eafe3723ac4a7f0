# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import os
import pathlib
import socket
import types
import typing as t

import pytest
from ansible.module_utils.common import sys_info
from ansible.module_utils.facts.system import distribution as setup
from ansible_collections.bulwark.servers.plugins.module_utils import _platform
from hypothesis import given
from hypothesis import strategies as st

Texts = dict[str, str]


def _os_release(**values: str) -> Texts:
    return {"etc/os-release": "".join(f'{name}="{value}"\n' for name, value in values.items())}


def _red_hat(text: str, **values: str) -> Texts:
    return {**_os_release(**values), "etc/redhat-release": text}


_DEBIAN = _os_release(PRETTY_NAME="Debian GNU/Linux 13 (trixie)", NAME="Debian GNU/Linux", VERSION_ID="13", ID="debian")
_SID = _os_release(PRETTY_NAME="Debian GNU/Linux forky/sid", NAME="Debian GNU/Linux", ID="debian")
_SLES = {"NAME": "SLES", "VERSION": "15-SP5", "VERSION_ID": "15.5", "ID": "sles", "ID_LIKE": "suse"}

# The files of a distribution, its name and its version.
DISTRIBUTIONS: list[tuple[Texts, str, str]] = [
    ({**_DEBIAN, "etc/debian_version": "13.6\n"}, "Debian", "13.6"),
    ({**_SID, "etc/debian_version": "forky/sid\n"}, "Debian", "forky/sid"),
    (
        _os_release(
            PRETTY_NAME="Raspbian GNU/Linux 11 (bullseye)", NAME="Raspbian GNU/Linux", VERSION_ID="11", ID="raspbian"
        ),
        "Debian",
        "11",
    ),
    (
        {
            **_os_release(NAME="Ubuntu", ID="ubuntu", ID_LIKE="debian", VERSION_ID="24.04"),
            "etc/debian_version": "trixie/sid",
        },
        "Ubuntu",
        "24.04",
    ),
    (
        _red_hat(
            "Red Hat Enterprise Linux release 9.4 (Plow)\n",
            NAME="Red Hat Enterprise Linux",
            ID="rhel",
            VERSION_ID="9.4",
        ),
        "RedHat",
        "9.4",
    ),
    (
        {
            **_red_hat("CentOS Stream release 9\n", NAME="CentOS Stream", ID="centos", VERSION_ID="9"),
            "etc/centos-release": "CentOS Stream release 9\n",
        },
        "CentOS",
        "9",
    ),
    (
        {
            **_red_hat("CentOS Linux release 7.9.2009 (Core)\n", NAME="CentOS Linux", ID="centos", VERSION_ID="7"),
            "etc/centos-release": "CentOS Linux release 7.9.2009 (Core)\n",
        },
        "CentOS",
        "7.9",
    ),
    (
        _red_hat("Rocky Linux release 9.3 (Blue Onyx)\n", NAME="Rocky Linux", ID="rocky", VERSION_ID="9.3"),
        "Rocky",
        "9.3",
    ),
    (
        _red_hat("AlmaLinux release 9.3 (Shamrock Pampas Cat)\n", NAME="AlmaLinux", ID="almalinux", VERSION_ID="9.3"),
        "AlmaLinux",
        "9.3",
    ),
    (
        {
            **_red_hat(
                "Red Hat Enterprise Linux release 9.3 (Plow)\n", NAME="Oracle Linux Server", ID="ol", VERSION_ID="9.3"
            ),
            "etc/oracle-release": "Oracle Linux Server release 9.3\n",
        },
        "OracleLinux",
        "9.3",
    ),
    (
        {
            **_red_hat(
                "CentOS Linux release 8.4.2105 (Core)\n", NAME="TencentOS Server", ID="tencentos", VERSION_ID="3.1"
            ),
            "etc/centos-release": 'NAME="TencentOS Server"\nVERSION="3.1 (Final)"\n',
        },
        "TencentOS",
        "3.1",
    ),
    (_red_hat("Fedora release 40 (Forty)\n", NAME="Fedora Linux", ID="fedora", VERSION_ID="40"), "Fedora", "40"),
    (
        _red_hat("EuroLinux release 8.5 (Tirana)\n", NAME="EuroLinux", ID="eurolinux", VERSION_ID="8.5"),
        "EuroLinux",
        "8.5",
    ),
    (
        {
            **_os_release(NAME="Amazon Linux", ID="amzn", VERSION_ID="2023"),
            "etc/system-release": "Amazon Linux release 2023\n",
        },
        "Amazon",
        "2023",
    ),
    (
        {**_os_release(NAME="Alpine Linux", ID="alpine", VERSION_ID="3.20.1"), "etc/alpine-release": "3.20.1\n"},
        "Alpine",
        "3.20.1",
    ),
    (_os_release(NAME="Arch Linux", ID="arch", BUILD_ID="rolling"), "Archlinux", "NA"),
    ({**_os_release(NAME="Manjaro Linux", ID="manjaro", ID_LIKE="arch"), "etc/arch-release": ""}, "Archlinux", "NA"),
    (_os_release(**_SLES), "SLES", "15.5"),
    (_os_release(**{**_SLES, "VERSION_ID": "16.0", "VARIANT_ID": "server-sap"}), "SLES_SAP", "16.0"),
    (_os_release(**{**_SLES, "VERSION_ID": "16.0", "VARIANT_ID": "transactional"}), "SL-Micro", "16.0"),
    (
        _os_release(NAME="openSUSE Leap", ID="opensuse-leap", ID_LIKE="suse opensuse", VERSION_ID="15.6"),
        "openSUSE Leap",
        "15.6",
    ),
    (
        _os_release(
            NAME="openSUSE Tumbleweed", ID="opensuse-tumbleweed", ID_LIKE="opensuse suse", VERSION_ID="20240801"
        ),
        "openSUSE Tumbleweed",
        "20240801",
    ),
    (_os_release(NAME="SL-Micro", ID="sl-micro", ID_LIKE="suse", VERSION_ID="6.0"), "SL-Micro", "6.0"),
    (_os_release(NAME="Kali GNU/Linux", ID="kali", ID_LIKE="debian", VERSION_ID="2024.2"), "Kali", "2024.2"),
    (_os_release(NAME="Linux Mint", ID="linuxmint", ID_LIKE="ubuntu debian", VERSION_ID="21.3"), "Linux Mint", "21.3"),
    (_os_release(NAME="Gentoo", ID="gentoo", VERSION_ID="2.15"), "Gentoo", "2.15"),
    (_os_release(NAME="Pop!_OS", ID="pop", ID_LIKE="ubuntu debian", VERSION_ID="22.04"), "Pop!_OS", "22.04"),
    (_os_release(NAME="Void", ID="void"), "Void", "NA"),
    (_os_release(NAME="Other", ID="other", VERSION="1 (One)"), "Other", "1 (One)"),
    ({}, "OtherLinux", "NA"),
]


def _write(root: pathlib.Path, texts: t.Mapping[str, str | bytes]) -> _platform.Files:
    for name, text in texts.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return _platform.Files(str(root))


def _setup(root: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """Return what ansible-core's setup says of a root directory."""
    read, exists = setup.get_file_content, setup._file_exists
    monkeypatch.setattr(setup, "get_file_content", lambda path: read(f"{root}{path}"))
    monkeypatch.setattr(setup, "get_file_lines", lambda path: (read(f"{root}{path}") or "").splitlines())
    monkeypatch.setattr(setup, "_file_exists", lambda path, allow_empty: exists(f"{root}{path}", allow_empty))
    monkeypatch.setattr(sys_info, "distro", sys_info.distro.LinuxDistribution(root_dir=str(root)))
    module = types.SimpleNamespace(get_bin_path=lambda _name: None)
    facts = setup.Distribution(module).get_distribution_facts()
    return facts["distribution"], facts["distribution_version"]


@pytest.mark.parametrize(
    ("texts", "name", "version"), DISTRIBUTIONS, ids=lambda value: value if isinstance(value, str) else ""
)
def test_the_names_of_distributions_are_those_of_ansible(
    texts: Texts, name: str, version: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = _write(tmp_path, texts)

    assert (_platform.identify_distribution(files), _setup(tmp_path, monkeypatch)) == ((name, version), (name, version))


def test_os_release_may_be_where_the_vendor_ships_it(tmp_path: pathlib.Path) -> None:
    files = _write(tmp_path, {"usr/lib/os-release": "NAME='Pop!_OS'\nVERSION_ID=22.04\n"})
    assert _platform.identify_distribution(files) == ("Pop!_OS", "22.04")


def test_suse_for_sap_was_a_product_before_it_was_a_variant(tmp_path: pathlib.Path) -> None:
    files = _write(tmp_path, {**_os_release(**_SLES), "etc/products.d/SLES_SAP.prod": ""})
    (tmp_path / "etc/products.d/baseproduct").symlink_to("SLES_SAP.prod")

    assert _platform.identify_distribution(files) == ("SLES_SAP", "15.5")


_HOSTILE = b"\x1b[2J\xff\0\n=\nID\nVERSION_ID=\n" + b"x" * 1_000_000


@given(st.binary(max_size=300))
def test_any_os_release_gives_a_text(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    for content in (data, b"NAME=" + data, b"ID=debian\nVERSION_ID=" + data, _HOSTILE + data):
        files = _write(tmp_path_factory.getbasetemp() / "hostile", {"etc/os-release": content})
        name, version = _platform.identify_distribution(files)
        json.dumps([name, version], ensure_ascii=False).encode()
        assert name
        assert version


@pytest.mark.parametrize("kind", ["fifo", "device", "directory", "loop", "socket"])
def test_no_other_kind_of_file_is_opened(kind: str, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "etc"
    path.mkdir()
    path /= "os-release"
    with socket.socket(socket.AF_UNIX) as listener:
        if kind == "fifo":
            os.mkfifo(path)
        elif kind == "device":
            path.symlink_to("/dev/zero")
        elif kind == "directory":
            path.mkdir()
        elif kind == "loop":
            path.symlink_to(path)
        else:
            listener.bind(str(path))
        assert _platform.identify_distribution(_platform.Files(str(tmp_path))) == ("OtherLinux", "NA")


@pytest.mark.parametrize(
    ("nodename", "hosts", "domain"),
    [
        ("web", "", ""),
        ("web.example.com", "", "example.com"),
        ("web", "127.0.0.1 localhost\n127.0.1.1 web.example.com web\n", "example.com"),
        ("web", "127.0.1.1 web web.example.com # web.other.com\n", "example.com"),
        ("web", "10.0.0.5 web.example.com web\n10.0.0.5 web.other.com\n", "example.com"),
        # The address that the name leads to has another name first.
        ("web", "127.0.0.1 localhost\n127.0.0.1 web web.example.com\n", ""),
        ("web", "# 127.0.1.1 web.example.com web\n\n127.0.1.1\n127.0.1.1 other\n", ""),
        ("web.internal", "10.0.0.5 web.example.com web.internal\n", "example.com"),
    ],
)
def test_the_domain_is_that_of_the_full_name(nodename: str, hosts: str, domain: str, tmp_path: pathlib.Path) -> None:
    assert _platform.find_domain(nodename, _write(tmp_path, {"etc/hosts": hosts})) == domain


_DMI = "sys/devices/virtual/dmi/id/"


@pytest.mark.parametrize(
    ("texts", "role"),
    [
        ({}, "NA"),
        ({"proc/1/cgroup": "0::/\n", "proc/1/environ": "PATH=/bin\0"}, "NA"),
        ({"proc/1/cgroup": "12:memory:/docker/0123abcd\n"}, "guest"),
        ({"proc/1/cgroup": "0::/system.slice/docker-0123abcd.scope\n"}, "guest"),
        ({"proc/1/environ": "PATH=/bin\0container=podman\0"}, "guest"),
        ({"proc/1/environ": "my_container=x\0container=\0"}, "NA"),
        ({"run/systemd/container": "systemd-nspawn\n"}, "guest"),
        ({".dockerenv": ""}, "guest"),
        ({"proc/vz/version": ""}, "guest"),
        ({"proc/vz/version": "", "proc/bc/0": ""}, "host"),
        ({"proc/vz/version": "", "proc/lve/list": ""}, "NA"),
        ({"proc/xen/capabilities": "control_d\n"}, "host"),
        ({"proc/xen/capabilities": ""}, "guest"),
        ({_DMI + "product_name": "VMware Virtual Platform\n"}, "guest"),
        ({_DMI + "sys_vendor": "QEMU\n"}, "guest"),
        ({_DMI + "bios_vendor": "Hetzner\n"}, "guest"),
        ({_DMI + "sys_vendor": "Red Hat\n", _DMI + "product_family": "RHV\n"}, "guest"),
        ({_DMI + "sys_vendor": "Dell Inc.\n", "proc/modules": "kvm_intel 1 0\nkvm 1 1 kvm_intel,\n"}, "host"),
        ({"proc/cpuinfo": "processor : 0\nmodel name\t: QEMU Virtual CPU version 2.5+\n"}, "guest"),
        ({"proc/modules": "virtio 16384 1 virtio_net, Live 0x0\n"}, "guest"),
        ({"dev/kvm": ""}, "host"),
    ],
)
def test_the_role_of_a_virtual_machine(texts: Texts, role: str, tmp_path: pathlib.Path) -> None:
    assert _platform.find_role(_write(tmp_path, texts)) == role
