# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Explain what a package manager does by what the package is known to bring, and by nothing else.

Being below dpkg or rpm explains nothing. What explains is a proof (``package_proof``): a signed repository has the
package in this version, and the file that the event names is now as the package ships it. Of commands those of the
package's own script are explained that left a system account, or a service of the package that runs again. The removal
of a kernel is explained while another one that a package brought can be started.
"""

from __future__ import annotations

import os
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _finding
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection import views
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.model import About
from ansible_collections.bulwark.servers.plugins.module_utils.audit.explain import package_chain
from ansible_collections.bulwark.servers.plugins.module_utils.audit.explain.matched_act import MatchedAct
from ansible_collections.bulwark.servers.plugins.module_utils.audit.explain.package_commands import proved_command
from ansible_collections.bulwark.servers.plugins.module_utils.audit.explain.package_kernels import kernel_that_remains
from ansible_collections.bulwark.servers.plugins.module_utils.audit.explain.package_proof import Deed, PackageProof
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records import activity
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.processes import ancestors
from ansible_collections.bulwark.servers.plugins.module_utils.automation.explainer import Explainer
from ansible_collections.bulwark.servers.plugins.module_utils.packages.model import Owned
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.model import PACKAGE, Explanation

_INODE = re.compile(rb"^(?:node=\S+ )?type=PATH msg=\S+ +item=\d+ name=\S+ inode=(\d{1,20}) ", re.MULTILINE)
# Scripts that run when the files of the new version are there already, so that they can be compared.
_COMPARED = frozenset(("postinst",))
_STOPPING = frozenset(("prerm",))


class PackageExplainer(Explainer[MatchedAct]):
    """Explains hits by packages of the host."""

    name = "packages"
    kind = PACKAGE

    def __init__(self, root: bytes = b"/") -> None:
        self._proof = PackageProof(root)

    def explain(self, act: MatchedAct) -> Explanation | None:
        about, view = act
        chain = package_chain.read_chain(_actor(about, view), ancestors(about.parent))
        if chain is None:
            return None
        if view.get("Action"):
            path = os.fsencode(str(view.get("TargetFilename") or ""))
            return self._of_file(about, path, str(view["Action"]), chain)
        if view.get("Syscall") in views.EXECUTES and chain.package is not None:
            return self._of_command(about, view, chain)
        return None

    def _of_file(self, about: About, path: bytes, action: str, chain: package_chain.Chain) -> Explanation | None:
        if action == "delete":
            return self._of_removal(about, path, chain)
        inodes = {int(number) for number in _INODE.findall(about.event.raw)}
        if not path and action == "chmod":
            # dpkg gives a program its mode before it has its name.
            path = self._proof.program(inodes) or b""
        if not path.startswith(b"/"):
            return None
        deed = Deed(path, inodes, about.event.time, chain.is_itself)
        owned = self._proof.shipped(deed, chain.manager, chain.has_frontend)
        if owned is None and chain.package is not None and chain.script in _COMPARED:
            owned = self._proof.copied(deed, chain.package, chain.has_frontend)
        return None if owned is None else _explanation(owned, "brings %s" % _finding.printable(path))

    def _of_removal(self, about: About, path: bytes, chain: package_chain.Chain) -> Explanation | None:
        owned = kernel_that_remains(path, about.event.time, chain.manager, self._proof)
        return None if owned is None else _explanation(owned, "brings a kernel that is still there")

    def _of_command(self, about: About, view: t.Mapping[str, t.Any], chain: package_chain.Chain) -> Explanation | None:
        timestamp = about.event.time
        package = self._proof.package(chain.package or "", timestamp, chain.has_frontend)
        if package is None or chain.script not in _COMPARED | _STOPPING:
            return None
        is_own = chain.script in _STOPPING or self._proof.has_own_script(
            package, chain.script or "", timestamp, chain.has_frontend
        )
        try:
            done = proved_command(tuple(view.get("Argv") or ()), package, self._proof) if is_own else None
        except OSError:
            return None
        return None if done is None else _explanation(package, done)


def _actor(about: About, view: t.Mapping[str, t.Any]) -> package_chain.Link:
    """Return who acts: of an execution the program that was executed."""
    image = str(view.get("Image") or "")
    if view.get("Syscall") in views.EXECUTES:
        return package_chain.Link(image, str(view.get("OriginalImage") or ""), tuple(view.get("Argv") or ()))
    if about.process is not None and activity.process_image(about.process) == image:
        return package_chain.link(about.process)
    return package_chain.Link(image, "", None)


def _explanation(owned: Owned, done: str) -> Explanation:
    label = "The package %s %s %s" % (_finding.printable(owned.package), _finding.printable(owned.version), done)
    return Explanation(PACKAGE, label)
