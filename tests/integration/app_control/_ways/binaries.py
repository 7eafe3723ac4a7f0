# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ways to run code from programs and libraries."""

from __future__ import annotations

import typing as t

from tests.integration.app_control._ways.way import Way

BINARIES: t.Final = (
    Way(
        "renamed_copy",
        "A copy of a packaged program under another name",
        blocked=True,
        control=("app_unapproved_program",),
        others=("audit: execution_from_temporary_directory", "audit: execution_masquerading"),
    ),
    Way(
        "compiled",
        "A program that gcc makes on the host",
        blocked=True,
        control=("app_unapproved_program",),
        others=("audit: execution_from_temporary_directory",),
    ),
    Way(
        "written_by_perl",
        "A program that a Perl one-liner writes, as a download does",
        blocked=True,
        control=("app_unapproved_program",),
        others=("audit: execution_from_temporary_directory",),
    ),
    Way(
        "changed_same_size",
        "A program that is allowed by its digest, changed at the same size and with its old time",
        blocked=True,
        control=("app_changed_program",),
        others=("audit: file_time_forged",),
        marks=("/opt/ways/tool",),
    ),
    Way(
        "packaged_changed",
        "A program of an allowed package, changed at the same size and with its old time",
        blocked=True,
        control=("app_changed_program",),
        others=("audit: file_time_forged", "file_integrity: fim_package_mismatch"),
        marks=("/usr/bin/ways-tool",),
    ),
    Way(
        "packaged_changed_digest_edited",
        "The same, and the digest that its package records is edited",
        blocked=True,
        control=("app_changed_program",),
        others=("audit: file_time_forged", "file_integrity: fim_package_database_edited"),
        marks=("/usr/bin/ways-edited", "dpkg:ways-edited:amd64"),
    ),
    Way(
        "hard_link",
        "A hard link to a packaged program",
        blocked=True,
        control=("app_unapproved_program",),
        others=("file_integrity: fim_file_created", "file_integrity: fim_metadata_changed"),
        marks=("/usr/local/bin/ways-nl", "/usr/bin/nl"),
    ),
    Way(
        "symlink",
        "A symbolic link to a packaged interpreter, under the name of a daemon",
        others=("audit: execution_masquerading",),
    ),
    Way(
        "title_of_another",
        "A copy that is started under the name of a daemon (exec -a)",
        blocked=True,
        control=("app_unapproved_program",),
        others=("audit: execution_from_temporary_directory", "audit: execution_masquerading"),
    ),
    Way(
        "setuid_copy",
        "A copy of a shell with the setuid bit",
        blocked=True,
        control=("app_unapproved_program",),
        others=("audit: execution_from_temporary_directory", "audit: execution_masquerading", "audit: setuid_bit_set"),
    ),
    Way(
        "deleted_while_running",
        "A program that is deleted while it runs",
        blocked=True,
        control=("app_unapproved_program",),
        others=(
            "audit: execution_from_temporary_directory",
            "audit: execution_masquerading",
            "memory_scan: fileless_attack_technique",
        ),
    ),
    Way(
        "deleted_before_the_look",
        "A program that ran and is deleted",
        blocked=True,
        control=("app_unapproved_program",),
        others=("audit: execution_from_temporary_directory", "audit: execution_masquerading"),
    ),
    Way(
        "put_back",
        "A copy at the path of a packaged program, which is then put back",
        blocked=True,
        control=("app_unapproved_program",),
        others=("audit: execution_masquerading",),
        marks=("/usr/bin/ways-back",),
    ),
    Way(
        "new_in_allowed_directory",
        "A new program in a directory that is allowed and that only root can write to",
        others=("file_integrity: fim_file_created",),
        marks=("/opt/ways/bin/new",),
    ),
    Way(
        "in_open_directory",
        "A program in a directory that is allowed, but that everybody can write to",
        blocked=True,
        control=("app_unapproved_program",),
        marks=("/opt/ways/open/own",),
    ),
    Way(
        "ld_so",
        "A program that is not executable, through the dynamic loader",
        blocked=True,
        control=("app_unapproved_program",),
        others=("audit: execution_masquerading", "audit: execution_via_loader"),
    ),
    Way(
        "ld_so_running",
        "The same, while it runs",
        blocked=True,
        control=("app_unapproved_library", "app_unapproved_program"),
        others=(
            "audit: execution_masquerading",
            "audit: execution_via_loader",
            "memory_scan: fileless_attack_technique",
        ),
    ),
    Way(
        "memfd",
        "A program in a memory file, by fexecve",
        control=("app_unapproved_program",),
        others=("audit: execution_from_memory",),
        marks=("/memfd:ways_memfd",),
    ),
    Way(
        "memfd_running",
        "The same, while it runs",
        control=("app_unapproved_program",),
        others=("audit: execution_from_memory", "memory_scan: fileless_attack_technique"),
        marks=("/memfd:ways_running",),
    ),
    Way("ld_preload", "A library in LD_PRELOAD of a program that has ended", blocked=True),
    Way(
        "ld_preload_running",
        "The same, while the program runs",
        blocked=True,
        control=("app_unapproved_library",),
        others=("memory_scan: fileless_attack_technique",),
    ),
    Way(
        "ld_audit_running",
        "A library in LD_AUDIT of a running program",
        blocked=True,
        control=("app_unapproved_library",),
        others=("memory_scan: fileless_attack_technique",),
    ),
    Way(
        "rpath_library",
        "A library that a running program finds by its RPATH",
        blocked=True,
        control=("app_unapproved_library",),
        others=("memory_scan: fileless_attack_behavior",),
        marks=("/opt/ways/linked",),
    ),
    Way(
        "library_path",
        "A library that a running program finds by LD_LIBRARY_PATH",
        blocked=True,
        control=("app_unapproved_library",),
        others=("memory_scan: fileless_attack_behavior",),
        marks=("/opt/ways/linked_too",),
    ),
    Way(
        "dlopen_running",
        "A library that a running Python one-liner loads",
        control=("app_unapproved_library",),
        others=("memory_scan: fileless_attack_behavior",),
    ),
    Way("script", "An executable script", blocked=True, control=("app_unapproved_script",)),
    Way("script_chain", "A script whose interpreter is a script", blocked=True, control=("app_unapproved_script",)),
)
