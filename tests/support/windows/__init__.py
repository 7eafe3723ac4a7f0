# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compile the C# of Windows hosts as they do, and run it without Windows: by mono, or as a Windows process under Wine.

``toolchain`` has the programs, the .NET runtime for Windows and the Wine prefix, ``compiler`` compiles and runs,
``utilities`` finds the C# files that one utility needs.
"""
