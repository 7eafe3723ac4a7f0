# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the facts that name a Linux host's platform, as ansible-core's ``setup`` names and words them.

They are read from files and from the kernel's routing table, in milliseconds. No program runs and no packet leaves:
unlike ``setup`` this asks no name server for the domain.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import stat
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _safe_fs

# Enough for each of the files, apart from a list of blocked names in /etc/hosts, whose beginning is the host's own.
_READ_LIMIT = 256 * 1024
_TEXT_LIMIT = 256

# os-release's ID to the name that Ansible gives; the names of others are those in /etc/redhat-release or NAME.
_NAMES = {
    "almalinux": "AlmaLinux",
    "altlinux": "Altlinux",
    "amzn": "Amazon",
    "arch": "Archlinux",
    "centos": "CentOS",
    "cumulus-linux": "Cumulus Linux",
    "debian": "Debian",
    "deepin": "Deepin",
    "devuan": "Devuan",
    "fedora": "Fedora",
    "kali": "Kali",
    "linuxmint": "Linux Mint",
    "ol": "OracleLinux",
    "parrot": "Parrot",
    "raspbian": "Debian",
    "rhel": "RedHat",
    "rocky": "Rocky",
    "tencentos": "TencentOS",
    "ubuntu": "Ubuntu",
}
_SUSE_VARIANTS = {"server-sap": "SLES_SAP", "sles-sap": "SLES_SAP", "transactional": "SL-Micro"}
_SUSE_PRODUCTS = {"SLES_SAP.prod": "SLES_SAP", "SL-Micro.prod": "SL-Micro"}

_CONTAINER_CGROUP = re.compile(
    r"/docker(/|-[0-9a-f]+\.scope)|/lxc/|/machine\.slice/machine-lxc|/system\.slice/containerd\.service"
)
_CONTAINER_VARIABLE = re.compile(r"(^|\0)container=[^\0]|container=(lxc|podman)")
_VIRTUAL_PROCESSOR = re.compile(
    r"^(model name.*(QEMU Virtual CPU|UML)|vendor_id.*(User Mode Linux|PowerVM Lx86)|machine.*emulated by qemu)",
    re.MULTILINE,
)
_VIRTUAL_PRODUCTS = frozenset(
    (
        *("KVM", "KVM Server", "Bochs", "AHV", "CloudStack KVM Hypervisor", "BHYVE"),
        *("OpenStack Compute", "OpenStack Nova"),
    )
)
_VIRTUAL_BIOS = frozenset(("Xen", "innotek GmbH", "Amazon EC2", "DigitalOcean", "Hetzner", "Linode"))
_VIRTUAL_VENDORS = frozenset(
    (
        *("oVirt", "QEMU", "Amazon EC2", "DigitalOcean", "Google", "Scaleway", "Nutanix", "KubeVirt"),
        *("Microsoft Corporation", "Parallels Software International Inc.", "OpenStack Foundation"),
    )
)

# Addresses far away, to which the kernel names the route; the same that ``setup`` asks for.
_DISTANT = ((socket.AF_INET, "8.8.8.8"), (socket.AF_INET6, "2404:6800:400a:800::1012"))


class Files:
    """The small files of a host below ``root``. An intruder may have put anything in their place."""

    def __init__(self, root: str = "") -> None:
        self._root = root

    def read(self, path: str, limit: int = _READ_LIMIT) -> str | None:
        """Return a file's text without white space around it; None where it is empty, no regular file or unreadable.

        limit: in bytes; what comes after is left out.
        """
        try:
            # A link is usual here (os-release). Opening the pinned file cannot wait for a FIFO or touch a device.
            pinned = os.open(self._root + path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            if not stat.S_ISREG(os.fstat(pinned).st_mode):
                return None
            with open(_safe_fs.pinned_path(pinned), "rb", buffering=0) as stream:
                data = _safe_fs.read_at(stream.fileno(), 0, limit)
        except OSError:
            return None
        finally:
            os.close(pinned)
        return data.decode("utf-8", "replace").strip() or None

    def exists(self, path: str) -> bool:
        return os.path.exists(self._root + path)

    def target(self, path: str) -> str:
        """Return the name of the file that a link leads to, empty where there is no link."""
        return os.path.basename(os.path.realpath(self._root + path)) if os.path.islink(self._root + path) else ""


def facts() -> dict[str, t.Any]:
    """Return this host's facts under Ansible's names, without their prefix; what is unknown is left out."""
    kernel = os.uname()
    files = Files()
    distribution, version = identify_distribution(files)
    texts = {
        "system": kernel.sysname,
        "kernel": kernel.release,
        "domain": find_domain(kernel.nodename, files),
        "distribution": distribution,
        "distribution_version": version,
        "virtualization_role": find_role(files),
    }
    found: dict[str, t.Any] = {name: text[:_TEXT_LIMIT] for name, text in texts.items() if text}
    for family, distant in _DISTANT:
        address = _source_address(family, distant)
        if address is not None:
            found["default_ipv4" if family == socket.AF_INET else "default_ipv6"] = {"address": address}
    return found


def identify_distribution(files: Files) -> tuple[str, str]:
    """Return the name and version of the distribution; ``OtherLinux`` and ``NA`` where no file says."""
    release = parse_os_release(files.read("/etc/os-release") or files.read("/usr/lib/os-release") or "")
    identity = release.get("ID", "").lower()
    version = release.get("VERSION_ID", "")
    if identity == "debian":
        version = _more_precise(version, files.read("/etc/debian_version"))
    elif identity == "centos":
        version = ".".join(_more_precise(version, _number(files.read("/etc/centos-release"))).split(".")[:2])
    elif identity == "alpine":
        return "Alpine", files.read("/etc/alpine-release") or version or "NA"
    elif "suse" in identity or identity.startswith("sle"):
        return _suse_name(release, files), version or "NA"
    if identity not in _NAMES and files.exists("/etc/arch-release"):
        name: str | None = "Archlinux"
    else:
        name = _NAMES.get(identity) or _red_hat_name(files.read("/etc/redhat-release")) or release.get("NAME")
    return name or "OtherLinux", version or release.get("VERSION") or "NA"


def parse_os_release(text: str) -> dict[str, str]:
    """Return the values of an os-release(5) file; the last of several with one name counts."""
    values = {}
    for line in text.splitlines():
        name, separator, value = line.strip().partition("=")
        if separator and not name.startswith("#"):
            values[name] = value.strip().strip("\"'")
    return values


def _more_precise(version: str, other: str | None) -> str:
    """Return the version with more parts, the first where both have as many."""
    return other if other and (not version or other.count(".") > version.count(".")) else version


def _number(text: str | None) -> str | None:
    match = re.search(r"\d[\d.]*", text or "")
    return match.group() if match else None


def _red_hat_name(text: str | None) -> str | None:
    """Return the name in /etc/redhat-release, which all that are built from Red Hat's sources have."""
    if not text:
        return None
    return "RedHat" if "Red Hat" in text else text.split()[0]


def _suse_name(release: t.Mapping[str, str], files: Files) -> str:
    variant = release.get("VARIANT_ID")
    special = (
        _SUSE_PRODUCTS.get(files.target("/etc/products.d/baseproduct"))
        if variant is None
        else _SUSE_VARIANTS.get(variant)
    )
    return special or release.get("NAME") or "SUSE"


def find_domain(nodename: str, files: Files) -> str:
    """Return the domain of the host's full name, as /etc/hosts has it; else that of its own name.

    The address of the first line with the host's name decides, as it does for the C library (gethostbyaddr(3)).
    """
    lines = [line.partition("#")[0].split() for line in (files.read("/etc/hosts") or "").splitlines()]
    address = next((words[0] for words in lines if nodename in words[1:]), None)
    names = next((words[1:] for words in lines if words[1:] and words[0] == address), [nodename])
    full_name = next((name for name in names if "." in name), names[0])
    return full_name.partition(".")[2]


def find_role(files: Files) -> str:
    """Return ``guest`` for a container or virtual machine, ``host`` for a machine that runs some, else ``NA``."""
    if _is_container(files):
        return "guest"
    openvz = _openvz_role(files)
    if openvz is not None:
        return openvz
    if files.exists("/proc/xen"):
        return "host" if "control_d" in (files.read("/proc/xen/capabilities") or "") else "guest"
    if _has_virtual_firmware(files) or _VIRTUAL_PROCESSOR.search(files.read("/proc/cpuinfo") or ""):
        return "guest"
    modules = {line.partition(" ")[0] for line in (files.read("/proc/modules") or "").splitlines()}
    if modules & {"kvm", "vboxdrv"}:
        return "host"
    if "virtio" in modules:
        return "guest"
    return "host" if files.exists("/dev/kvm") else "NA"


def _is_container(files: Files) -> bool:
    if _CONTAINER_CGROUP.search(files.read("/proc/1/cgroup") or ""):
        return True
    if _CONTAINER_VARIABLE.search(files.read("/proc/1/environ") or ""):
        return True
    return files.read("/run/systemd/container") is not None or files.exists("/.dockerenv")


def _openvz_role(files: Files) -> str | None:
    if not files.exists("/proc/vz") or files.exists("/proc/lve"):
        return None
    return "host" if files.exists("/proc/bc") else "guest"


def _has_virtual_firmware(files: Files) -> bool:
    product, vendor, bios, family = (
        files.read("/sys/devices/virtual/dmi/id/" + name) or ""
        for name in ("product_name", "sys_vendor", "bios_vendor", "product_family")
    )
    if product in _VIRTUAL_PRODUCTS or product.startswith("VMware"):
        return True
    if vendor == "Red Hat" and (family == "RHV" or product == "RHEV Hypervisor"):
        return True
    return vendor in _VIRTUAL_VENDORS or bios in _VIRTUAL_BIOS


def _source_address(family: int, distant: str) -> str | None:
    """Return the address that this host would send from; None without a route. Connecting UDP sends nothing."""
    with contextlib.suppress(OSError), contextlib.closing(socket.socket(family, socket.SOCK_DGRAM)) as endpoint:
        endpoint.connect((distant, 53))
        return str(endpoint.getsockname()[0])
    return None
