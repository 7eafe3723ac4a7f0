# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be checked of a file that programs generate, for the rules of ``classify_derived``."""

from __future__ import annotations

import posixpath
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity import globs
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity._classify_facts import Facts, ships

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
_NOBODY = 0o022


def _unchecked(_facts: Facts) -> bool:
    return True


def _packaged_link(facts: Facts) -> bool:
    """A link to a packaged file; gone when the file is no package's any more, so not one to what was never packaged."""
    if facts.after is None:
        target = facts.target(facts.before) if facts.before else None
        if facts.before is None or target is None or facts.target_owner(facts.before) is not None:
            return False
        # Where the administrator's own units and programs are, too, which no package ever owned.
        local = target.startswith((_CONFIGURATION, b"/usr/local/", b"/opt/"))
        return not local or facts.context.was_owned(target)
    return facts.target_owner(facts.after) is not None


def _changed_package_link(facts: Facts) -> bool:
    """A link to a file of a package that itself is new or has a new version."""
    if facts.after is None:
        return _packaged_link(facts)
    owned = facts.target_owner(facts.after)
    return owned is not None and facts.version_changed(owned)


def _alternative(facts: Facts) -> bool:
    """A link into /etc/alternatives, whose own links must lead to packaged files."""
    if facts.path.startswith(_ALTERNATIVES):
        return _packaged_link(facts)
    entry = facts.after or facts.before
    target = facts.target(entry) if entry else None
    return target is not None and target.startswith(_ALTERNATIVES)


def _configuration_link(facts: Facts) -> bool:
    """A link to configuration, which is watched itself."""
    entry = facts.after or facts.before
    target = facts.target(entry) if entry else None
    return target is not None and target.startswith(_CONFIGURATION)


def _sibling_link(facts: Facts) -> bool:
    """A link to a name in the same directory, which is watched itself."""
    entry = facts.after or facts.before
    target = facts.target(entry) if entry else None
    return target is not None and posixpath.dirname(target) == posixpath.dirname(facts.path)


def _bytecode(facts: Facts) -> bool:
    """Compiled from a module of a package that is new or has a new version, or left over by one that is gone."""
    match = _BYTECODE.fullmatch(facts.path)
    if match is None:
        return False
    source = facts.context.packages.owner(match["directory"] + b"/" + match["module"] + b".py")
    if facts.after is None:
        return True  # nothing runs what isn't there
    return source is not None and facts.version_changed(source)


def _kernel_copy(facts: Facts) -> bool:
    """/boot/vmlinuz-6.1 and the like, which kernel-install(8) copies from /usr/lib/modules/6.1; or gone with it."""
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
    """The content of a file that a package that is new or has a new version ships elsewhere, as ucf(1) installs it.

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
    """What dpkg or rpm leave beside a configuration file of a package of theirs that has a new version.

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
    """A script of dpkg's database whose own package is new, gone or has a new version."""
    match = _SCRIPT.fullmatch(facts.path)
    return match is not None and facts.changed_packages([globs.escaped(globs.to_text(match["package"]))])


def _empty(facts: Facts) -> bool:
    return facts.after is None or facts.after.size == 0


def _created(facts: Facts) -> bool:
    """New, not changed: what an installation makes once."""
    return facts.before is None


CHECKS: t.Mapping[str, t.Callable[[Facts], bool]] = {
    "none": _unchecked,
    "packaged_link": _packaged_link,
    "changed_package_link": _changed_package_link,
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
}
