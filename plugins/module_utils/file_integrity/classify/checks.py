# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of generated files, for the rules of ``derived_files``."""

from __future__ import annotations

import hashlib
import posixpath
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.classify.facts import Facts, ships
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.classify.linker_cache import (
    leads_to_libraries,
)
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.watches import globs

if t.TYPE_CHECKING:
    from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity import model

_ALTERNATIVES = b"/etc/alternatives/"
_CONFIGURATION = b"/etc/"
_DOCUMENTATION = (b"/usr/share/doc/", b"/usr/share/man/")
_LEFTOVER = re.compile(
    rb"(?P<path>.+)\.(?:(?P<manager>dpkg)-(?:(?P<new>dist|new)|old|bak)|(?P<rpm>rpm)(?:(?P<rpmnew>new)|save|orig))"
)
# /usr/lib/python3/x/__pycache__/y.cpython-313.opt-1.pyc is compiled from /usr/lib/python3/x/y.py (PEP 3147, PEP 488).
_BYTECODE = re.compile(rb"(?P<directory>.+)/__pycache__/(?P<module>[^/]+?)\.[^./]+(?:\.opt-[0-9a-z]+)?\.pyc")
_KERNEL = re.compile(
    rb"/boot/(?:(?P<name>vmlinuz|System\.map|config)-(?P<version>[^/]+)|[^/]+/(?P<directory>[^/]+)/linux)"
)
_SCRIPT = re.compile(rb".+/(?P<package>[^/:]+)(?::[^/:]+)?\.(?:preinst|postinst|prerm|postrm|config)")
# What systemd.unit(5) reads links of, besides a unit's own name. getty@tty1.service is an instance of getty@.service.
_DEPENDENCIES = (b".wants", b".requires", b".upholds")
_INSTANCE = re.compile(rb"(@)[^/]*(\.[a-z]+)")
_UNITS = (b"/usr/lib/systemd", b"/lib/systemd")
_DPKG_INFO = b"/var/lib/dpkg/info/"
_NOBODY = 0o022


def _unchecked(_facts: Facts) -> bool:
    return True


def _packaged_link(facts: Facts) -> bool:
    """Accept a link to a packaged file, and its loss with the package, so not of one to what was never packaged."""
    if facts.after is None:
        target = facts.target(facts.before) if facts.before else None
        if facts.before is None or target is None or facts.target_owner(facts.before) is not None:
            return False
        # Where the administrator's own units and programs are, too, which no package ever owned.
        local = target.startswith((_CONFIGURATION, b"/usr/local/", b"/opt/"))
        return not local or facts.context.was_owned(target)
    return facts.target_owner(facts.after) is not None


def _changed_package_link(facts: Facts) -> bool:
    """Accept a link to a file of a package that itself is new or has a new version."""
    if facts.after is None:
        return _packaged_link(facts)
    owned = facts.target_owner(facts.after)
    return owned is not None and facts.version_changed(owned)


def _unit_link(facts: Facts) -> bool:
    """Accept a link to a unit of a package that is new or has a new version, under the unit's own name or an alias.

    The name of the link decides what systemd(1) starts. An alias is no name that a packaged unit has already.
    """
    entry = facts.after
    follows = _changed_package_link(facts)
    if entry is None or not follows:
        return follows
    directory, name = posixpath.split(facts.path)
    unit = posixpath.basename(facts.target(entry) or b"")
    if unit in (name, _INSTANCE.sub(rb"\1\2", name)):
        return True
    kind = posixpath.basename(directory)
    if kind.endswith(_DEPENDENCIES) or not posixpath.dirname(directory).endswith(b"/systemd"):
        return False
    packaged = (posixpath.join(units, kind, name) for units in _UNITS)
    return not any(facts.context.was_owned(path) or facts.context.packages.owner(path) for path in packaged)


def _alternative(facts: Facts) -> bool:
    """Accept a link into /etc/alternatives, whose own links must lead to packaged files."""
    if facts.path.startswith(_ALTERNATIVES):
        return _packaged_link(facts)
    entry = facts.after or facts.before
    target = facts.target(entry) if entry else None
    return target is not None and target.startswith(_ALTERNATIVES)


def _configuration_link(facts: Facts) -> bool:
    """Accept a link to configuration, which is watched itself."""
    entry = facts.after or facts.before
    target = facts.target(entry) if entry else None
    return target is not None and target.startswith(_CONFIGURATION)


def _sibling_link(facts: Facts) -> bool:
    """Accept a link to a name in the same directory, which is watched itself."""
    entry = facts.after or facts.before
    target = facts.target(entry) if entry else None
    return target is not None and posixpath.dirname(target) == posixpath.dirname(facts.path)


def _bytecode(facts: Facts) -> bool:
    """Accept bytecode of a module of a new or upgraded package, and its loss."""
    match = _BYTECODE.fullmatch(facts.path)
    if match is None:
        return False
    source = facts.context.packages.owner(match["directory"] + b"/" + match["module"] + b".py")
    if facts.after is None:
        return True  # nothing runs what isn't there
    return source is not None and facts.version_changed(source)


def _kernel_copy(facts: Facts) -> bool:
    """Accept /boot/vmlinuz-6.1 and the like, which kernel-install(8) copies from /usr/lib/modules/6.1; or gone."""
    match = _KERNEL.fullmatch(facts.path)
    if match is None:
        return False
    name = match["name"] or b"vmlinuz"
    version = match["version"] or match["directory"]
    owned = facts.context.packages.owner(b"/usr/lib/modules/" + version + b"/" + name)
    if facts.after is None:
        return owned is None
    return owned is not None and facts.version_changed(owned) and ships(owned, facts.after) is True


def _copy(facts: Facts) -> bool:
    """Accept a copy of a file that a new or upgraded package ships elsewhere, as ucf(1) installs it.

    Documentation is no source: it has examples of everything.
    """
    after = facts.after
    if after is None or not after.hashes or (after.mode or 0) & 0o111:
        return False
    return any(
        not path.startswith(_DOCUMENTATION) and facts.version_changed(owned)
        for path, owned in facts.context.packages.shipping(after.hashes)
    )


def _leftover(facts: Facts) -> bool:
    """Accept a leftover of dpkg or rpm beside a configuration file of an upgraded package.

    The new version's file can be verified by its digest. The old file can't, but the distribution's programs don't read
    a name like that (cron of an rpm distribution would read a ``.dpkg-old``, so the manager must fit): nobody else may
    write it and it must not be executable.
    """
    match = _LEFTOVER.fullmatch(facts.path)
    if match is None:
        return False
    if facts.after is None:
        return True
    owned = facts.context.packages.owner(match["path"])
    manager = (match["manager"] or match["rpm"]).decode()
    if owned is None or owned.manager != manager or not facts.version_changed(owned):
        return False
    if match["new"] or match["rpmnew"]:
        return ships(owned, facts.after) is True
    mode = facts.after.mode
    return mode is not None and not mode & (0o7111 | _NOBODY)


def _maintainer_script(facts: Facts) -> bool:
    """Accept a script of dpkg's database whose own package is new, gone or has a new version."""
    match = _SCRIPT.fullmatch(facts.path)
    return match is not None and facts.changed_packages([globs.escaped(globs.to_text(match["package"]))])


def _empty(facts: Facts) -> bool:
    """Accept an empty file that was empty before, if it was there."""
    return all(entry is None or entry.size == 0 for entry in (facts.before, facts.after))


def _created(facts: Facts) -> bool:
    """Accept a new file, as an installation makes one once, not a changed one."""
    return facts.before is None


def _watched_libraries(facts: Facts) -> bool:
    """Accept a cache of the dynamic linker that gives each name a watched library of this name."""
    cache = facts.context.content(facts.after) if facts.after else None
    return cache is not None and leads_to_libraries(cache, facts.context.is_library)


def _registered_alternative(facts: Facts) -> bool:
    """Accept a link of /etc/alternatives that a signed package's own script registers, with its target."""
    target = facts.target(facts.after) if facts.after else None
    owned = facts.target_owner(facts.after) if facts.after else None
    if target is None or owned is None or not facts.path.startswith(_ALTERNATIVES):
        return False
    words = {word for script in _scripts(facts, owned.package).values() for word in script.split()}
    return target in words and facts.path[len(_ALTERNATIVES) :] in words


def _signed_copy(facts: Facts) -> bool:
    """Accept the new version of a configuration file that dpkg or rpm put beside the edited one."""
    match = _LEFTOVER.fullmatch(facts.path)
    return match is not None and bool(match["new"] or match["rpmnew"]) and _leftover(facts)


def _signed_script(facts: Facts) -> bool:
    """Accept a script of dpkg's database that is the one in the signed package."""
    match = _SCRIPT.fullmatch(facts.path)
    if match is None or facts.after is None or not facts.path.startswith(_DPKG_INFO):
        return False
    kind = facts.path.rpartition(b".")[2].decode("ascii")
    script = _scripts(facts, globs.to_text(match["package"])).get(kind)
    return script is not None and (facts.after.hashes or {}).get("sha256") == hashlib.sha256(script).hexdigest()


def _scripts(facts: Facts, package: str) -> t.Mapping[str, bytes]:
    return t.cast("model.SignedPackages", facts.context.packages).scripts(package)


CHECKS: t.Mapping[str, t.Callable[[Facts], bool]] = {
    "none": _unchecked,
    "packaged_link": _packaged_link,
    "changed_package_link": _changed_package_link,
    "unit_link": _unit_link,
    "alternative": _alternative,
    "configuration_link": _configuration_link,
    "sibling_link": _sibling_link,
    "bytecode": _bytecode,
    "kernel_copy": _kernel_copy,
    "copy": _copy,
    "leftover": _leftover,
    "maintainer_script": _maintainer_script,
    "empty": _empty,
    "created": _created,
    "linker_cache": _unchecked,
}

# What proves a generated file: everything about it follows from what signed packages ship. A check that is missing here
# proves nothing.
SIGNED_CHECKS: t.Mapping[str, t.Callable[[Facts], bool]] = {
    "packaged_link": _packaged_link,
    "changed_package_link": _changed_package_link,
    "unit_link": _unit_link,
    "alternative": _registered_alternative,
    "configuration_link": _packaged_link,
    "sibling_link": _sibling_link,
    "kernel_copy": _kernel_copy,
    "copy": _copy,
    "leftover": _signed_copy,
    "maintainer_script": _signed_script,
}
# What a file says of itself is enough: it does nothing that is not a finding of its own, whatever made it.
HARMLESS_CHECKS: t.Mapping[str, t.Callable[[Facts], bool]] = {"linker_cache": _watched_libraries, "empty": _empty}
