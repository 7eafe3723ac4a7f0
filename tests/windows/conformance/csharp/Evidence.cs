// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Globalization;
using System.Text.RegularExpressions;

namespace ansible_collections.bulwark.conformance.plugins.module_utils.Evidence
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.conformance.plugins.module_utils.Workspace;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Printable;

    /// <summary>This host cannot show the fact; the message says why.</summary>
    public sealed class NotPossibleException : Exception
    {
        public NotPossibleException(string message) : base(message)
        {
        }
    }

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

        // A SID of an account or a domain names them for ever; the record is published.
        private static readonly Regex Account = new Regex(@"S-1-5-21(-\d+)+");

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

        /// <summary>Return text for the record: printable, short and without SIDs of accounts.</summary>
        public static string Shown(string text)
        {
            string shown = Printable.Show(Account.Replace(text, "S-1-5-21-..."));
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
}
