// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Management.Automation;
using System.Security.AccessControl;
using System.Text.RegularExpressions;

namespace ansible_collections.bulwark.conformance.plugins.module_utils.SecondWay
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.conformance.plugins.module_utils.Evidence;

    /// <summary>Facts of this host without the collection's own edges.</summary>
    public static class SecondWay
    {
        private const int ProgramMilliseconds = 30000;

        private static readonly Regex Entry = new Regex(@"\([^)]*\)");

        /// <summary>
        /// Return what an expression of PowerShell yields as text, evaluated by the PowerShell that runs this module.
        /// </summary>
        public static string PowerShell(string expression)
        {
            try
            {
                foreach (PSObject value in ScriptBlock.Create(expression).Invoke())
                    return value == null ? null : Convert.ToString(value.BaseObject);
                return null;
            }
            catch (NotSupportedException)
            {
                throw new NotPossibleException("no PowerShell runs this module");
            }
        }

        /// <summary>Return what a program of System32 prints.</summary>
        public static string Program(string name, string arguments)
        {
            ProcessStartInfo start = new ProcessStartInfo(
                Environment.SystemDirectory + "\\" + name, arguments);
            start.UseShellExecute = false;
            start.CreateNoWindow = true;
            start.RedirectStandardOutput = true;
            using (Process process = Process.Start(start))
            {
                string text = process.StandardOutput.ReadToEnd();
                if (!process.WaitForExit(ProgramMilliseconds) || process.ExitCode != 0)
                    throw new NotPossibleException(name + " does not answer");
                return text;
            }
        }

        /// <summary>Return owner and entries of the DACL of a self-relative descriptor.</summary>
        public static IList<string> Access(byte[] descriptor)
        {
            return Access(new RawSecurityDescriptor(descriptor, 0).GetSddlForm(
                AccessControlSections.Owner | AccessControlSections.Access));
        }

        /// <summary>The same of .NET's own view. The flags of the whole DACL are left out, which .NET recomputes.
        /// </summary>
        public static IList<string> Access(ObjectSecurity security)
        {
            return Access(security.GetSecurityDescriptorSddlForm(
                AccessControlSections.Owner | AccessControlSections.Access));
        }

        /// <summary>The same of a text in the security descriptor definition language.</summary>
        public static IList<string> Access(string sddl)
        {
            List<string> parts = new List<string>();
            int dacl = sddl.IndexOf("D:", StringComparison.Ordinal);
            parts.Add(dacl < 0 ? sddl : sddl.Substring(0, dacl));
            foreach (Match match in Entry.Matches(sddl))
                parts.Add(match.Value);
            return parts;
        }
    }
}
