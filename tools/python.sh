#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: bulwark.servers contributors
#
# Print a Python that can run a controller: 3.11 or newer, with the parts of the standard library that
# distributions split off. A name on PATH may be a version manager's shim that starts nothing, so each is tried.
probe='import sys; sys.version_info >= (3, 11) or sys.exit(1); import ctypes, sqlite3, ssl, zlib; print(sys.executable)'
for name in python3.13 python3.14 python3.12 python3.11 python3 python; do
    if found=$("$name" -I -c "$probe" 2>/dev/null); then
        printf '%s\n' "$found"
        exit 0
    fi
done

if command -v apt-get >/dev/null; then
    advice="apt-get install python3"
elif command -v dnf >/dev/null; then
    advice="dnf install python3.12"
elif command -v zypper >/dev/null; then
    advice="zypper install python313"
elif command -v apk >/dev/null; then
    advice="apk add python3"
else
    advice="install your system's package of it"
fi
echo "No Python 3.11 or newer with its whole standard library (ssl, sqlite3) is on PATH: $advice, or name one with PYTHON=." >&2
exit 1
