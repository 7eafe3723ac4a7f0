# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Importing from the archive in which ansible-core sends a module, where every run compiles everything anew."""

from __future__ import annotations

import os
import sys
import zipimport


class _Importer(zipimport.zipimporter):
    """Compiles each module once. The original does it twice, the first time only to tell the name of its file."""

    def get_filename(self, fullname: str) -> str:
        end = os.sep + "__init__.py" if self.is_package(fullname) else ".py"
        return os.path.join(self.archive, self.prefix + fullname.rpartition(".")[2] + end)


def compile_once() -> None:
    """Use that importer for what is imported from now on, if this module itself came from an archive."""
    if isinstance(__spec__.loader, zipimport.zipimporter):
        sys.path_hooks.insert(0, _Importer)
        # Directories that something was imported from keep the importer that they have.
        sys.path_importer_cache.pop(os.path.dirname(__file__), None)
