// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Globalization;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Printable;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.sign_ins.Summary
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.servers.plugins.module_utils.windows.sign_ins.SignIn;

/// <summary>Sign-ins by source, account, service and method, as module_utils/audit/sign_ins/summary.py.</summary>
public sealed class Summary
{
	private const int Shown = 50;
	// An attacker chooses names and, with IPv6, addresses: what is counted is bounded, and what is not is said.
	private const int MostCounted = 50000;
	private const string Successes = "successes";
	private const string Failures = "failures";
	private const string Aborted = "aborted";
	private const string Attempts = "attempts";

	private readonly Dictionary<string, long> _totals = new Dictionary<string, long>
	{
		{ Successes, 0 }, { Failures, 0 }, { Aborted, 0 }, { Attempts, 0 },
	};
	private readonly Dictionary<string, Count> _sources = new Dictionary<string, Count>(StringComparer.Ordinal);
	private readonly Dictionary<string, Count> _users = new Dictionary<string, Count>(StringComparer.Ordinal);
	private readonly Dictionary<string, Dictionary<string, long>> _services =
		new Dictionary<string, Dictionary<string, long>>(StringComparer.Ordinal);
	private readonly Dictionary<string, Dictionary<string, long>> _methods =
		new Dictionary<string, Dictionary<string, long>>(StringComparer.Ordinal);

	/// <summary>Sign-ins of sources and accounts beyond what is counted.</summary>
	public long Uncounted { get; private set; }

	public void Add(SignIn signIn)
	{
		string outcome = Outcome(signIn.Outcome);
		_totals[outcome]++;
		AddTo(_services, signIn["Service"], outcome);
		AddTo(_methods, signIn["Method"].Length > 0 ? signIn["Method"] : "unknown", outcome);
		AddTo(_sources, signIn["SourceIp"], outcome, signIn, signIn["User"]);
		AddTo(_users, signIn["User"], outcome, signIn, signIn["SourceIp"]);
	}

	/// <summary>Return the module's sign_ins.</summary>
	public Dictionary<string, object> Result()
	{
		Dictionary<string, object> result = new Dictionary<string, object>();
		foreach (KeyValuePair<string, long> total in _totals)
			result[total.Key] = total.Value;
		result["sources"] = Most(_sources, "source", "users");
		result["sources_count"] = (long)_sources.Count;
		result["users"] = Most(_users, "user", "sources");
		result["users_count"] = (long)_users.Count;
		result["services"] = Nested(_services);
		result["methods"] = Nested(_methods);
		return result;
	}

	private static string Outcome(string outcome)
	{
		switch (outcome)
		{
			case SignIn.Success:
				return Successes;
			case SignIn.Failure:
				return Failures;
			default:
				return outcome == SignIn.Aborted ? Aborted : Attempts;
		}
	}

	private static void AddTo(Dictionary<string, Dictionary<string, long>> table, string name, string outcome)
	{
		Dictionary<string, long> counts;
		if (!table.TryGetValue(name, out counts))
		{
			if (table.Count >= MostCounted)
				return;
			counts = table[name] = new Dictionary<string, long>();
		}
		long before;
		counts.TryGetValue(outcome, out before);
		counts[outcome] = before + 1;
	}

	private void AddTo(Dictionary<string, Count> table, string name, string outcome, SignIn signIn, string other)
	{
		if (name.Length == 0)
			return;
		Count count;
		if (!table.TryGetValue(name, out count))
		{
			if (table.Count >= MostCounted)
			{
				Uncounted++;
				return;
			}
			count = table[name] = new Count { Name = name, First = signIn.Time };
		}
		count.Successes += outcome == Successes ? 1 : 0;
		count.Failures += outcome == Failures ? 1 : 0;
		count.Aborted += outcome == Aborted ? 1 : 0;
		count.First = Math.Min(count.First, signIn.Time);
		count.Last = Math.Max(count.Last, signIn.Time);
		if (other.Length > 0 && count.Others.Count < Shown)
			count.Others.Add(other);
	}

	private static List<object> Most(Dictionary<string, Count> table, string key, string others)
	{
		List<Count> counts = new List<Count>(table.Values);
		counts.Sort(delegate(Count left, Count right)
		{
			int order = right.Failures.CompareTo(left.Failures);
			order = order != 0 ? order : right.Successes.CompareTo(left.Successes);
			return order != 0 ? order : string.CompareOrdinal(left.Name, right.Name);
		});
		List<Count> shown = counts.GetRange(0, Math.Min(Shown, counts.Count));
		// The one that got in must not be hidden by many that did not.
		List<Count> inside = counts.FindAll(delegate(Count count) { return count.Successes > 0; });
		inside.Sort(delegate(Count left, Count right)
		{
			int order = right.Last.CompareTo(left.Last);
			return order != 0 ? order : string.CompareOrdinal(left.Name, right.Name);
		});
		foreach (Count count in inside.GetRange(0, Math.Min(Shown, inside.Count)))
		{
			if (!shown.Contains(count))
				shown.Add(count);
		}
		return shown.ConvertAll(delegate(Count count) { return (object)count.Entry(key, others); });
	}

	private static Dictionary<string, object> Nested(Dictionary<string, Dictionary<string, long>> table)
	{
		List<string> names = new List<string>(table.Keys);
		names.Sort(delegate(string left, string right)
		{
			int order = Largest(table[right]).CompareTo(Largest(table[left]));
			return order != 0 ? order : string.CompareOrdinal(left, right);
		});
		Dictionary<string, object> nested = new Dictionary<string, object>();
		foreach (string name in names.GetRange(0, Math.Min(Shown, names.Count)))
		{
			Dictionary<string, object> counts = new Dictionary<string, object>();
			foreach (KeyValuePair<string, long> count in table[name])
				counts[count.Key] = count.Value;
			nested[Show(name)] = counts;
		}
		return nested;
	}

	private static long Largest(Dictionary<string, long> counts)
	{
		long largest = 0;
		foreach (long count in counts.Values)
			largest = Math.Max(largest, count);
		return largest;
	}

	private static string Show(string text)
	{
		return Printable.Show(text);
	}

	private sealed class Count
	{
		public string Name;
		public long Successes;
		public long Failures;
		public long Aborted;
		public long First;
		public long Last;
		public readonly SortedSet<string> Others = new SortedSet<string>(StringComparer.Ordinal);

		public Dictionary<string, object> Entry(string key, string others)
		{
			return new Dictionary<string, object>
			{
				{ key, Show(Name) }, { Summary.Failures, Failures }, { Summary.Successes, Successes },
				{ Summary.Aborted, Aborted }, { "first", SignIn.Stamp(First) }, { "last", SignIn.Stamp(Last) },
				{ others, new List<string>(Others).ConvertAll(delegate(string other) { return (object)Show(other); }) },
			};
		}
	}
}
}
