// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System.Collections.Generic;
using System.Globalization;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Coverage
{
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Json;

	/// <summary>
	/// What one scope (a watch, a log source, a process) covered, filled while the module works. Texts are shown ones.
	/// </summary>
	public sealed class ScopeCoverage
	{
		/// <summary>A host with a million unreadable files must not send a million reasons; the count stays exact.
		/// </summary>
		public const int SkippedLimit = 50;

		/// <summary>Whoever reviews changes should see each explanation, up to what an upgrade of Windows changes.
		/// </summary>
		public const int ExplainedLimit = 1000;

		public const int ExamplesLimit = 3;

		private readonly List<object> _skipped = new List<object>();
		private readonly List<Group> _explained = new List<Group>();
		private string _failure;

		public readonly string Scope;

		/// <summary>How many subjects were looked at.</summary>
		public long Examined;

		/// <summary>A sentence for people on what the run did there; null for none.</summary>
		public string Note;

		public ScopeCoverage(string scope)
		{
			Scope = scope;
		}

		/// <summary>How many subjects were skipped; the entry lists the first <see cref="SkippedLimit"/>.</summary>
		public long SkippedCount { get; private set; }

		/// <summary>Say whether <see cref="Fail"/> was called.</summary>
		public bool Failed
		{
			get { return _failure != null; }
		}

		/// <summary>Note one subject that could not be looked at, with one sentence that says why.</summary>
		public void Skip(string subject, string reason)
		{
			SkippedCount++;
			if (_skipped.Count < SkippedLimit)
				_skipped.Add(new Dictionary<string, object> { { "subject", subject }, { "reason", reason } });
		}

		/// <summary>Note that the scope was not looked at, or that what was seen there proves nothing.</summary>
		public void Fail(string reason)
		{
			_failure = reason;
		}

		/// <summary>
		/// Note that <paramref name="by"/> (an update, a publisher) explains so many changes; the first
		/// <see cref="ExamplesLimit"/> examples are listed.
		/// </summary>
		public void Explain(string by, long count, IEnumerable<string> examples)
		{
			List<object> listed = new List<object>();
			foreach (string example in examples)
			{
				if (listed.Count == ExamplesLimit)
					break;
				listed.Add(example);
			}
			_explained.Add(new Group { By = by, Count = count, Examples = listed });
		}

		/// <summary>
		/// Return the coverage entry: status is checked, partial (some subjects skipped) or not_checked. note,
		/// explained_count and explained are only there when they say something; what explains least comes first, and
		/// the last of <see cref="ExplainedLimit"/> sums up the rest.
		/// </summary>
		public Dictionary<string, object> Entry()
		{
			Dictionary<string, object> entry = new Dictionary<string, object>();
			entry["scope"] = Scope;
			entry["status"] = Failed ? "not_checked" : SkippedCount > 0 ? "partial" : "checked";
			entry["reason"] = _failure;
			entry["examined"] = Examined;
			entry["skipped"] = new List<object>(_skipped);
			entry["skipped_count"] = SkippedCount;
			if (_explained.Count > 0)
			{
				entry["explained_count"] = Sum(_explained, 0);
				entry["explained"] = Shorten();
			}
			if (!string.IsNullOrEmpty(Note))
				entry["note"] = Note;
			return entry;
		}

		/// <summary>Return the entry of a scope that could not be looked at, with one sentence that says why.</summary>
		public static Dictionary<string, object> NotChecked(string scope, string reason)
		{
			ScopeCoverage coverage = new ScopeCoverage(scope);
			coverage.Fail(reason);
			return coverage.Entry();
		}

		private List<object> Shorten()
		{
			List<Group> ordered = new List<Group>(_explained);
			// Sort is not stable: the order of noting decides between equal ones, as in Python.
			for (int index = 0; index < ordered.Count; index++)
				ordered[index].Index = index;
			ordered.Sort(Group.Compare);
			int listed = ordered.Count <= ExplainedLimit ? ordered.Count : ExplainedLimit - 1;
			List<object> entries = new List<object>(listed + 1);
			for (int index = 0; index < listed; index++)
				entries.Add(ordered[index].Entry());
			if (listed < ordered.Count)
			{
				string by = (ordered.Count - listed).ToString(CultureInfo.InvariantCulture) + " more";
				Group rest = new Group { By = by, Count = Sum(ordered, listed), Examples = new List<object>() };
				entries.Add(rest.Entry());
			}
			return entries;
		}

		private static long Sum(List<Group> groups, int start)
		{
			long count = 0;
			for (int index = start; index < groups.Count; index++)
				count += groups[index].Count;
			return count;
		}

		private sealed class Group
		{
			public string By;
			public long Count;
			public List<object> Examples;
			public int Index;

			public Dictionary<string, object> Entry()
			{
				return new Dictionary<string, object> { { "by", By }, { "count", Count }, { "examples", Examples } };
			}

			public static int Compare(Group left, Group right)
			{
				int order = left.Count.CompareTo(right.Count);
				if (order == 0)
					order = Json.CompareText(left.By, right.By);
				return order != 0 ? order : left.Index.CompareTo(right.Index);
			}
		}
	}
}
