// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Text.RegularExpressions;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RegistryLinks
{
    /// <summary>The symbolic links of the registry that Windows itself makes.</summary>
    public static class RegistryLinks
    {
        /// <summary>The name of the value that holds the target of a symbolic link key, of the type REG_LINK.</summary>
        public const string ValueName = "SymbolicLinkValue";

        /// <summary>REG_LINK.</summary>
        public const uint ValueType = 6;

        private const RegexOptions Options =
            RegexOptions.IgnoreCase | RegexOptions.CultureInvariant | RegexOptions.Singleline;

        // Path and target: the control set in use, the classes of a user and their view for 32-bit programs.
        private static readonly Regex[] Known =
        {
            new Regex(
                @"^HKLM\\SYSTEM\\CurrentControlSet\0\\Registry\\Machine\\System\\ControlSet\d{3}\z", Options),
            new Regex(
                @"^HKLM\\SYSTEM\\(?:CurrentControlSet|ControlSet\d{3})\\Hardware Profiles\\Current\0" +
                @"\\Registry\\Machine\\System\\(?:CurrentControlSet|ControlSet\d{3})\\Hardware Profiles\\\d{4}\z",
                Options),
            new Regex(
                @"^HKU\\([^\\\0]+)\\SOFTWARE\\Classes\0\\Registry\\User\\\1_Classes\z", Options),
            new Regex(
                @"^HKLM\\SOFTWARE\\WOW6432Node\\Classes\0\\Registry\\Machine\\Software\\Classes\\WOW6432Node\z",
                Options),
            new Regex(
                @"^HKLM\\SOFTWARE\\Classes\\WOW6432Node\0\\Registry\\Machine\\Software\\WOW6432Node\\Classes\z",
                Options),
            // Keys that both views share (Microsoft Learn, "Registry Keys Affected by WOW64").
            new Regex(@"^HKLM\\SOFTWARE\\WOW6432Node\\(.+)\0\\Registry\\Machine\\Software\\\1\z", Options),
            new Regex(
                @"^HKLM\\SOFTWARE\\Classes\\WOW6432Node\\(.+)\0\\Registry\\Machine\\Software\\Classes\\\1\z",
                Options),
            new Regex(@"^HKU\\S-1-5-18\0\\Registry\\User\\\.Default\z", Options)
        };

        /// <summary>Say whether a link is Windows' own, so that a watch may name keys below it.</summary>
        public static bool IsKnown(string path, string target)
        {
            string text = path + "\0" + target.TrimEnd('\0');
            foreach (Regex pattern in Known)
            {
                if (pattern.IsMatch(text))
                {
                    return true;
                }
            }
            return false;
        }
    }
}
