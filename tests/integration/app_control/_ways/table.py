# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The alerts for each way to run code, as they were measured. The table in the documentation is of these rows."""

from __future__ import annotations

import typing as t


class Way(t.NamedTuple):
    """A row.

    name: of the script in starters. how: what is done, for people. control: the alerts of application control about it.
    others: those of other capabilities, each after its capability's name. marks: subjects that belong to it, beside
    those in the directory of its script; ``$S`` is the directory that is at the same path outside of the system.
    """

    name: str
    how: str
    control: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()


WAYS: t.Final = (
    Way(
        "renamed_copy",
        "A copy of a packaged program under another name",
        control=("app_unapproved_program",),
        others=("audit: execution_from_temporary_directory", "audit: execution_masquerading"),
    ),
    Way(
        "compiled",
        "A program that gcc makes on the host",
        control=("app_unapproved_program",),
        others=("audit: execution_from_temporary_directory",),
    ),
    Way(
        "written_by_perl",
        "A program that a Perl one-liner writes, as a download does",
        control=("app_unapproved_program",),
        others=("audit: execution_from_temporary_directory",),
    ),
    Way(
        "changed_same_size",
        "A program that is allowed by its digest, changed at the same size and with its old time",
        control=("app_changed_program",),
        others=("audit: file_time_forged",),
        marks=("/opt/ways/tool",),
    ),
    Way(
        "packaged_changed",
        "A program of an allowed package, changed at the same size and with its old time",
        control=("app_changed_program",),
        others=("audit: file_time_forged", "file_integrity: fim_package_mismatch"),
        marks=("/usr/bin/ways-tool",),
    ),
    Way(
        "packaged_changed_digest_edited",
        "The same, and the digest that its package records is edited",
        control=("app_changed_program",),
        others=("audit: file_time_forged", "file_integrity: fim_package_database_edited"),
        marks=("/usr/bin/ways-edited", "dpkg:ways-edited:amd64"),
    ),
    Way(
        "hard_link",
        "A hard link to a packaged program",
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
        control=("app_unapproved_program",),
        others=("audit: execution_from_temporary_directory", "audit: execution_masquerading"),
    ),
    Way(
        "setuid_copy",
        "A copy of a shell with the setuid bit",
        control=("app_unapproved_program",),
        others=("audit: execution_from_temporary_directory", "audit: execution_masquerading", "audit: setuid_bit_set"),
    ),
    Way(
        "deleted_while_running",
        "A program that is deleted while it runs",
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
        control=("app_unapproved_program",),
        others=("audit: execution_from_temporary_directory", "audit: execution_masquerading"),
    ),
    Way(
        "put_back",
        "A copy at the path of a packaged program, which is then put back",
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
        control=("app_unapproved_program",),
        marks=("/opt/ways/open/own",),
    ),
    Way(
        "ld_so",
        "A program that is not executable, through the dynamic loader",
        control=("app_unapproved_program",),
        others=("audit: execution_masquerading", "audit: execution_via_loader"),
    ),
    Way(
        "ld_so_running",
        "The same, while it runs",
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
    Way("ld_preload", "A library in LD_PRELOAD of a program that has ended"),
    Way(
        "ld_preload_running",
        "The same, while the program runs",
        control=("app_unapproved_library",),
        others=("memory_scan: fileless_attack_technique",),
    ),
    Way(
        "ld_audit_running",
        "A library in LD_AUDIT of a running program",
        control=("app_unapproved_library",),
        others=("memory_scan: fileless_attack_technique",),
    ),
    Way(
        "rpath_library",
        "A library that a running program finds by its RPATH",
        control=("app_unapproved_library",),
        others=("memory_scan: fileless_attack_behavior",),
        marks=("/opt/ways/linked",),
    ),
    Way(
        "library_path",
        "A library that a running program finds by LD_LIBRARY_PATH",
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
    Way("script", "An executable script", control=("app_unapproved_script",)),
    Way("script_chain", "A script whose interpreter is a script", control=("app_unapproved_script",)),
    Way(
        "script_with_crlf",
        "A script with CRLF, and an interpreter whose name ends with CR",
        control=("app_unapproved_program", "app_unapproved_script"),
        others=("audit: execution_from_temporary_directory",),
    ),
    Way("script_with_crlf_by_name", "A script with CRLF, given to sh by name", control=("app_unapproved_script",)),
    Way(
        "script_without_interpreter",
        "An executable script without a first line, from bash",
        control=("app_unapproved_script",),
    ),
    Way("script_by_name", "A script that is given to sh by name", control=("app_unapproved_script",)),
    Way("script_by_env", "A script whose interpreter is ``env -S``", control=("app_unapproved_script",)),
    Way("sourced", "A script that bash sources"),
    Way("from_standard_input", "A script on the standard input of sh"),
    Way("pipe", "A script in a pipe to sh"),
    Way("here_document", "A here-document"),
    Way("argument", "Code in an argument: ``sh -c`` and ``eval``"),
    Way("bash_env", "A script in BASH_ENV"),
    Way("xargs", "A script that xargs gives to sh", control=("app_unapproved_script",)),
    Way(
        "find_exec",
        "A copy of a program that ``find -exec`` starts",
        control=("app_unapproved_program",),
        others=("audit: execution_from_temporary_directory", "audit: execution_masquerading"),
    ),
    Way("python_file", "A Python script by name", control=("app_unapproved_script",)),
    Way("python_argument", "``python3 -c``"),
    Way("python_module", "A Python module in PYTHONPATH, by ``python3 -m``"),
    Way("python_archive", "A zip archive that Python runs", control=("app_unapproved_script",)),
    Way("python_import_from_archive", "A module that Python imports from a zip archive"),
    Way(
        "python_start_file", "A file usercustomize.py, which Python runs when it starts", others=("audit: file_hidden",)
    ),
    Way("pip_user", "A script that ``pip install --user`` makes", control=("app_unapproved_script",)),
    Way("java_archive", "A jar file that Java runs", control=("app_unapproved_script",)),
    Way("awk_argument", "An awk one-liner that starts a packaged program"),
    Way("awk_file", "An awk script by name (``-f``)", control=("app_unapproved_script",)),
    Way("perl_argument", "``perl -e``"),
    Way("perl_file", "A Perl script by name", control=("app_unapproved_script",)),
    Way("ruby_argument", "``ruby -e``"),
    Way("ruby_file", "A Ruby script by name", control=("app_unapproved_script",)),
    Way("node_argument", "``node -e``"),
    Way("node_file", "A Node.js script by name", control=("app_unapproved_script",)),
    Way(
        "npx",
        "A script of a package in the working directory, by npx",
        control=("app_unapproved_script",),
        others=("audit: file_hidden",),
    ),
    Way("busybox_applet", "Applets of the packaged busybox"),
    Way(
        "vim_shell",
        "A copy of a program, from vim (``:!``)",
        control=("app_unapproved_program",),
        others=("audit: execution_from_temporary_directory", "audit: execution_masquerading", "audit: shell_escape"),
    ),
    Way("vim_script", "A script of vim (``-S``)"),
    Way(
        "gdb_shell",
        "A copy of a program, from gdb (``shell``)",
        control=("app_unapproved_program",),
        others=("audit: execution_from_temporary_directory", "audit: execution_masquerading", "audit: shell_escape"),
    ),
    Way("git_hook", "A hook of a git repository", control=("app_unapproved_script",)),
    Way("make_file", "A makefile that runs a packaged program"),
    Way(
        "tar_action",
        "A script that tar starts (``--checkpoint-action``)",
        control=("app_unapproved_script",),
        others=("audit: shell_escape",),
    ),
    Way(
        "bind_mount",
        "A copy, bind-mounted over a packaged program",
        control=("app_changed_program",),
        others=(
            "audit: execution_masquerading",
            "audit: watched_place_changed_indirectly",
            "file_integrity: fim_mounted_over",
        ),
        marks=("/usr/bin/ways-over",),
    ),
    Way(
        "bind_mount_undone",
        "The same, unmounted before the look",
        control=("app_unapproved_program",),
        others=("audit: execution_masquerading", "audit: watched_place_changed_indirectly"),
        marks=("/proc/other-root/usr/bin/ways-under",),
    ),
    Way(
        "bind_mount_of_its_own",
        "The same in a mount namespace of its own, while it runs",
        control=("app_unapproved_program",),
        others=(
            "audit: execution_masquerading",
            "audit: watched_place_changed_indirectly",
            "memory_scan: fileless_attack_behavior",
        ),
        marks=("/proc/other-root/usr/bin/ways-own",),
    ),
    Way(
        "overlay_mount",
        "An overlay over an allowed directory, in a mount namespace of its own",
        control=("app_unapproved_program",),
        others=("audit: execution_masquerading",),
        marks=("/proc/other-root/opt/ways/bin/tool",),
    ),
    Way(
        "chroot",
        "A program in another root, at the path of a packaged one",
        control=("app_unapproved_program",),
        others=("audit: execution_masquerading",),
        marks=("/proc/other-root/usr/bin/ways-root",),
    ),
    Way(
        "user_namespace",
        "A copy in a user namespace of an unprivileged account",
        control=("app_unapproved_program",),
        others=("audit: execution_from_temporary_directory", "audit: execution_masquerading"),
    ),
    Way(
        "unmounted_while_running",
        "A program on a tmpfs that is unmounted while it runs",
        control=("app_unapproved_program",),
        others=(
            "audit: execution_from_temporary_directory",
            "audit: execution_masquerading",
            "memory_scan: fileless_attack_behavior",
        ),
        marks=("/proc/other-root/own", "/proc/other-root/tmp/ways/unmounted_while_running/mount/own"),
    ),
    Way(
        "debugger_call",
        "Memory that gdb maps into a packaged program, filled by process_vm_writev",
        others=("audit: execution_process_injection", "memory_scan: fileless_attack_behavior"),
    ),
    Way(
        "process_memory_file",
        "Code of a running packaged program, overwritten through /proc/PID/mem",
        others=("memory_scan: fileless_attack_technique",),
    ),
    Way(
        "cron",
        "A script from a file in /etc/cron.d",
        control=("app_unapproved_script",),
        others=("audit: cron_job_written", "file_integrity: persistence_cron"),
        marks=("/etc/cron.d/ways",),
    ),
    Way(
        "binfmt",
        "An interpreter that is registered with binfmt_misc",
        control=("app_unapproved_program", "app_unapproved_script"),
        others=("audit: execution_from_temporary_directory", "audit: execution_masquerading"),
    ),
    Way(
        "core_pattern",
        "A helper that the kernel starts for a crash (core_pattern)",
        others=("audit: execution_masquerading", "audit: kernel_helper_changed"),
        marks=("$S/core-helper",),
    ),
    Way(
        "unsigned_package",
        "A program of a package that no repository signed",
        control=("app_unapproved_program", "app_unapproved_script"),
        others=("file_integrity: fim_changes_claimed", "file_integrity: persistence_package_hook"),
        marks=("/usr/bin/ways-unsigned", "ways-unsigned 1", "/var/lib/dpkg/info/ways-unsigned.postinst"),
    ),
    Way(
        "package_script",
        "A maintainer script of a package that no repository signed",
        control=("app_unapproved_script",),
        others=("file_integrity: fim_changes_claimed", "file_integrity: persistence_package_hook"),
        marks=("/usr/bin/ways-script", "ways-script 1", "/var/lib/dpkg/info/ways-script.postinst"),
    ),
    Way(
        "package_under_allowed_name",
        "An unsigned package with the name of an allowed one, by a rule without ``origin``",
        others=("file_integrity: fim_changes_claimed",),
        marks=("/usr/bin/ways-named", "ways-named 2", "/var/lib/dpkg/info/ways-named.postinst"),
    ),
    Way(
        "package_under_signed_name",
        "The same, by a rule with ``origin: signed``",
        control=("app_unapproved_program",),
        others=("file_integrity: fim_changes_claimed",),
        marks=("/usr/bin/ways-signed", "ways-signed 2", "/var/lib/dpkg/info/ways-signed.postinst"),
    ),
    Way(
        "preload_file",
        "A library in /etc/ld.so.preload, in a running packaged program",
        control=("app_unapproved_library",),
        others=(
            "audit: preload_written",
            "file_integrity: persistence_ld_preload",
            "memory_scan: fileless_attack_technique",
        ),
        marks=("/etc/ld.so.preload",),
    ),
    Way(
        "container_copy",
        "A copy in a container whose image has an allowlist",
        control=("app_unapproved_program",),
        others=("audit: execution_from_temporary_directory", "audit: execution_masquerading"),
    ),
    Way(
        "unknown_container_copy",
        "A copy in a container whose image has no allowlist",
        others=("audit: execution_from_temporary_directory", "audit: execution_masquerading"),
    ),
    Way("container_argument", "``docker exec`` of code in an argument"),
    Way(
        "systemd_run",
        "A copy that ``systemd-run`` starts, in a container with systemd",
        control=("app_unapproved_program",),
        others=("audit: execution_from_temporary_directory", "audit: execution_masquerading"),
    ),
    Way(
        "systemd_unit",
        "A unit of systemd that starts a copy, in a container with systemd",
        control=("app_unapproved_program",),
        others=("audit: execution_from_temporary_directory", "audit: execution_masquerading"),
    ),
)
