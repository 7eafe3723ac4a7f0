// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.IO;
using System.Management.Automation;
using System.Security.AccessControl;
using System.Text.RegularExpressions;

namespace ansible_collections.bulwark.conformance.plugins.module_utils.Evidence
{
using ansible_collections.bulwark.conformance.plugins.module_utils.Workspace;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Printable;

    /// <summary>One check of one edge of the Windows API, which is FILE.MEMBER of module_utils/windows/api.</summary>
    public sealed class Check
    {
        public readonly string Id;
        public readonly string Edge;
        private readonly Action<Workspace, Evidence> _run;

        /// <summary>comparison: for the documentation, what the edge is compared with.</summary>
        public Check(string id, string edge, string comparison, Action<Workspace, Evidence> run)
        {
            Id = id;
            Edge = edge;
            _run = run;
        }

        /// <summary>Run the check and return its entry of the record.</summary>
        public Dictionary<string, object> Result(Workspace workspace)
        {
            Evidence evidence = new Evidence();
            string reason = "";
            string outcome;
            try
            {
                _run(workspace, evidence);
                outcome = evidence.IsEqual ? "passed" : "failed";
            }
            catch (NotPossibleException error)
            {
                reason = error.Message;
                outcome = evidence.HasDifference ? "failed" : "not_possible";
            }
            catch (Exception error)
            {
                reason = error.GetType().Name + ": " + error.Message;
                outcome = "failed";
            }
            return new Dictionary<string, object>
            {
                { "id", Id },
                { "edge", Edge },
                { "outcome", outcome },
                { "reason", Evidence.Shown(reason) },
                { "evidence", evidence.Entries }
            };
        }
    }

    /// <summary>What a check saw: each fact by the edge and by a second, independent way.</summary>
    public sealed class Evidence
    {
        private const int Longest = 400;

        // SIDs of accounts and domains, and directories of accounts: the record is published.
        private static readonly Regex Account = new Regex(@"(?<=S-1-(5-21|12-1)-)[\d-]+|(?<=\\Users\\)[^\\]+");

        private static readonly Regex AccessEntry = new Regex(@"\([^)]*\)");
        private const AccessControlSections Compared = AccessControlSections.Owner | AccessControlSections.Access;

        public readonly List<object> Entries = new List<object>();

        public bool HasDifference;

        /// <summary>True when there is something that was compared, and no difference.</summary>
        public bool IsEqual
        {
            get { return Entries.Count > 0 && !HasDifference; }
        }

        /// <summary>Compare what the edge returned with the second way.</summary>
        public void Same(string name, object edge, object second)
        {
            string edgeText = Text(edge);
            string secondText = Text(second);
            Add(name, Shown(edgeText), Shown(secondText), edgeText == secondText);
        }

        /// <summary>The same for a fact that is nobody else's business: the record has only whether they are equal.
        /// </summary>
        public void SamePrivate(string name, string edge, string second)
        {
            bool isEqual = edge == second;
            string hidden = edge == null ? "null" : edge.Length + " characters";
            string other = isEqual ? hidden : second == null ? "null" : second.Length + " other characters";
            Add(name, hidden, other, isEqual);
        }

        /// <summary>Compare owner and DACL of a self-relative descriptor with .NET's own view.</summary>
        public void SameAccess(byte[] descriptor, ObjectSecurity second)
        {
            SameAccess(new RawSecurityDescriptor(descriptor, 0).GetSddlForm(Compared), second);
        }

        /// <summary>The same in the security descriptor definition language.</summary>
        public void SameAccess(string sddl, ObjectSecurity second)
        {
            Same("owner and DACL", Access(sddl), Access(second.GetSecurityDescriptorSddlForm(Compared)));
        }

        // The flags of the whole DACL are left out, which .NET recomputes.
        private static IList<string> Access(string sddl)
        {
            List<string> parts = new List<string>();
            int dacl = sddl.IndexOf("D:", StringComparison.Ordinal);
            parts.Add(dacl < 0 ? sddl : sddl.Substring(0, dacl));
            foreach (Match match in AccessEntry.Matches(sddl))
                parts.Add(match.Value);
            return parts;
        }

        /// <summary>Return text for the record: printable, short and without SIDs of accounts.</summary>
        public static string Shown(string text)
        {
            string shown = Printable.Show(Account.Replace(text, "..."));
            return shown.Length <= Longest ? shown : shown.Substring(0, Longest) + "...";
        }

        private void Add(string name, string edge, string second, bool isEqual)
        {
            HasDifference |= !isEqual;
            Entries.Add(new Dictionary<string, object>
            {
                { "name", name }, { "edge", edge }, { "second", second }, { "equal", isEqual }
            });
        }

        private static string Text(object value)
        {
            byte[] bytes = value as byte[];
            IEnumerable<string> texts = value as IEnumerable<string>;
            if (bytes != null)
                return BitConverter.ToString(bytes).Replace("-", "").ToLowerInvariant();
            if (texts != null)
            {
                List<string> sorted = new List<string>(texts);
                sorted.Sort(StringComparer.Ordinal);
                return string.Join(" | ", sorted.ToArray());
            }
            return value == null ? "null" : Convert.ToString(value, CultureInfo.InvariantCulture);
        }
    }

    /// <summary>Facts of this host without the collection's own edges.</summary>
    public static class SecondWay
    {
        private const int ProgramMilliseconds = 30000;

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
            using (Process process = Start(start))
            {
                string text = process.StandardOutput.ReadToEnd();
                if (!process.WaitForExit(ProgramMilliseconds) || process.ExitCode != 0)
                    throw new NotPossibleException(name + " does not answer");
                return text;
            }
        }

        private static Process Start(ProcessStartInfo start)
        {
            try
            {
                return Process.Start(start);
            }
            catch (Win32Exception)
            {
                throw new NotPossibleException(Path.GetFileName(start.FileName) + " does not run");
            }
        }
    }
}
