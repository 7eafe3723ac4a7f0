// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Review
{
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Coverage;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Json;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Printable;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Model;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Classifier;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Evidence;

/// <summary>A change with what it means.</summary>
public sealed class Reviewed
{
	public Change Change;
	public Judgement Judgement;
	public int Rank;
	public long Order;

	/// <summary>The most severe come first, then those that were noted first.</summary>
	public static int Compare(Reviewed left, Reviewed right)
	{
		return left.Rank != right.Rank ? right.Rank - left.Rank : left.Order.CompareTo(right.Order);
	}
}

/// <summary>Sorts changes into findings and explanations, in memory that does not grow with their number.</summary>
public sealed class Review
{
	/// <summary>How many characters the listed changes have at most, of which a result has two descriptions.
	/// </summary>
	public const int MostCharacters = 4 << 20;

	private const int ShownPaths = 10;

	// A finding lists so many of those that it speaks for.
	private const int MostParts = 20;

	private readonly Classifier _classifier;
	private readonly int _limit;
	private readonly Action<Change, Judgement> _consider;
	private readonly Dictionary<string, SortedDictionary<string, long>> _kinds =
		new Dictionary<string, SortedDictionary<string, long>>();

	private readonly Explanations _explained = new Explanations();
	private readonly Explanations _claimed = new Explanations();
	private List<Reviewed> _listed = new List<Reviewed>();

	// Of paths and messages since the list was shortened.
	private long _characters;

	/// <summary>What verifies signatures is a finding itself (T1553.003).</summary>
	public bool DoubtsSignatures { get; private set; }

	public long Count { get; private set; }

	public long ExplainedCount { get; private set; }

	public long ClaimedCount { get; private set; }

	/// <summary>limit: how many changes are listed. consider: gets each change; null for none.</summary>
	public Review(Classifier classifier, int limit, Action<Change, Judgement> consider)
	{
		_classifier = classifier;
		_limit = limit;
		_consider = consider;
	}

	public void Take(Change change)
	{
		Judgement judgement = _classifier.Classify(change);
		if (_consider != null)
			_consider(change, judgement);
		if (judgement.Explained || judgement.Claimed)
		{
			ExplainedCount += judgement.Explained ? 1 : 0;
			ClaimedCount += judgement.Claimed ? 1 : 0;
			(judgement.Claimed ? _claimed : _explained).Add(change, judgement);
			return;
		}
		DoubtsSignatures |= change.Path.StartsWith(@"HKLM\SOFTWARE\", StringComparison.OrdinalIgnoreCase) &&
			change.Path.IndexOf(@"\Microsoft\Cryptography\", StringComparison.OrdinalIgnoreCase) > 0;
		SortedDictionary<string, long> kinds;
		if (!_kinds.TryGetValue(change.Watch, out kinds))
		{
			kinds = new SortedDictionary<string, long>(StringComparer.Ordinal);
			_kinds[change.Watch] = kinds;
		}
		long before;
		kinds.TryGetValue(change.Kind, out before);
		kinds[change.Kind] = before + 1;
		Count++;
		int rank = Classifier.Rank(judgement.Severity);
		_listed.Add(new Reviewed { Change = change, Judgement = judgement, Rank = rank, Order = Count });
		_characters += change.Path.Length + judgement.Message.Length;
		if (_characters > 4 * MostCharacters)
			Finish();
		else if (_listed.Count > 2 * _limit + 100)
			Shorten();
	}

	/// <summary>Must be called once all changes were taken.</summary>
	public void Finish()
	{
		Shorten();
		LeaveOutLarge();
		_characters = 0;
	}

	// The largest: whoever makes names and lists long leaves room for what changed elsewhere.
	private void LeaveOutLarge()
	{
		long characters = 0;
		List<KeyValuePair<int, Reviewed>> sizes = new List<KeyValuePair<int, Reviewed>>();
		foreach (Reviewed reviewed in _listed)
		{
			int size = Json.Write(Evidence.ChangeDetection(reviewed.Change, reviewed.Judgement, 0, null)).Length;
			sizes.Add(new KeyValuePair<int, Reviewed>(size, reviewed));
			characters += size;
		}
		sizes.Sort(delegate(KeyValuePair<int, Reviewed> first, KeyValuePair<int, Reviewed> second)
		{
			return second.Key.CompareTo(first.Key);
		});
		HashSet<Reviewed> left = new HashSet<Reviewed>();
		for (int index = 0; characters > MostCharacters; index++)
		{
			characters -= sizes[index].Key;
			left.Add(sizes[index].Value);
		}
		_listed.RemoveAll(left.Contains);
	}

	/// <summary>Return a detection for each listed change, and one for each watch of which some are not.</summary>
	public List<object> Detections()
	{
		List<object> detections = new List<object>();
		HashSet<string> tops = new HashSet<string>();
		foreach (Reviewed reviewed in _listed)
		{
			string entry = reviewed.Change.Current.Kind;
			if (entry == EntryKinds.Key || entry == EntryKinds.Directory)
				tops.Add(Key(reviewed.Change, reviewed.Change.Path));
		}
		Dictionary<string, long> below = Below(tops);
		List<Reviewed> own = new List<Reviewed>();
		Dictionary<string, List<Change>> parts = new Dictionary<string, List<Change>>();
		foreach (Reviewed reviewed in _listed)
		{
			string top = IsPart(reviewed) ? Top(tops, reviewed.Change) : null;
			if (top == null)
			{
				own.Add(reviewed);
				continue;
			}
			if (!parts.ContainsKey(top))
				parts[top] = new List<Change>();
			if (parts[top].Count < MostParts)
				parts[top].Add(reviewed.Change);
		}
		foreach (Reviewed reviewed in own)
		{
			string path = Key(reviewed.Change, reviewed.Change.Path);
			long count;
			List<Change> folded;
			below.TryGetValue(path, out count);
			parts.TryGetValue(path, out folded);
			detections.Add(Evidence.ChangeDetection(reviewed.Change, reviewed.Judgement, count, folded));
		}
		foreach (KeyValuePair<string, long> omitted in Omitted())
		{
			List<string> paths = new List<string>();
			foreach (Reviewed reviewed in _listed)
			{
				if (reviewed.Change.Watch == omitted.Key)
					paths.Add(reviewed.Change.Current.Shown);
			}
			detections.Add(Evidence.MassDetection(omitted.Key, _kinds[omitted.Key], paths.Count, paths));
		}
		foreach (KeyValuePair<string, Dictionary<string, object>> claim in _claimed.ByWatch())
			detections.Add(Evidence.ClaimDetection(claim.Value, claim.Key));
		return detections;
	}

	/// <summary>Return how many changes of each watch are not listed.</summary>
	public Dictionary<string, long> Omitted()
	{
		Dictionary<string, long> omitted = new Dictionary<string, long>();
		foreach (KeyValuePair<string, SortedDictionary<string, long>> watch in _kinds)
		{
			long count = 0;
			foreach (long number in watch.Value.Values)
				count += number;
			foreach (Reviewed reviewed in _listed)
				count -= reviewed.Change.Watch == watch.Key ? 1 : 0;
			if (count > 0)
				omitted[watch.Key] = count;
		}
		return omitted;
	}

	/// <summary>Say whether a watch has changes that need a person.</summary>
	public bool HasChanges(string watch)
	{
		return _kinds.ContainsKey(watch);
	}

	/// <summary>The changes that are listed.</summary>
	public IList<Change> Listed
	{
		get { return _listed.ConvertAll<Change>(delegate(Reviewed reviewed) { return reviewed.Change; }); }
	}

	/// <summary>Return the listed changes for people to review.</summary>
	public List<object> Changes()
	{
		List<object> changes = new List<object>();
		foreach (Reviewed reviewed in _listed)
		{
			Change change = reviewed.Change;
			Dictionary<string, object> described = new Dictionary<string, object>();
			described["id"] = change.Id;
			described["path"] = change.Current.Shown;
			described["kind"] = change.Kind;
			described["attributes"] = new List<object>(change.Attributes);
			described["watch"] = change.Watch;
			described["alert"] = reviewed.Judgement.Alert;
			described["severity"] = reviewed.Judgement.Severity;
			described["message"] = reviewed.Judgement.Message;
			if (change.Kind == ChangeKinds.Renamed)
				described["previous_path"] = change.Before.Shown;
			if (change.Actor != null)
				described["actor"] = Evidence.ActorText(change.Actor);
			changes.Add(described);
		}
		return changes;
	}

	public List<object> Explained()
	{
		return _explained.Merged();
	}

	public List<object> Claimed()
	{
		return _claimed.Merged();
	}

	/// <summary>Tell the coverage of each watch which of its changes are no findings, and what explains them.
	/// </summary>
	public void Explain(IDictionary<string, ScopeCoverage> scopes)
	{
		foreach (KeyValuePair<string, Dictionary<string, object>> group in _explained.ByWatch())
		{
			Dictionary<string, object> explanation = group.Value;
			string by = explanation["package"] == null
				? (string)explanation["message"]
				: (explanation["package"] + " " + explanation["version"]).TrimEnd();
			List<string> examples = new List<string>();
			foreach (object path in (List<object>)explanation["paths"])
				examples.Add((string)path);
			scopes[group.Key].Explain(Printable.ShowPath(by), (long)explanation["count"], examples);
		}
	}

	// The most severe; but whoever writes where one account may write must not crowd out what changed elsewhere.
	private void Shorten()
	{
		_listed.Sort(Reviewed.Compare);
		if (_listed.Count <= _limit)
			return;
		Dictionary<string, int> counts = new Dictionary<string, int>();
		foreach (Reviewed reviewed in _listed)
			counts[Source(reviewed.Change)] = 0;
		int share = _limit / (2 * counts.Count);
		List<Reviewed> first = new List<Reviewed>();
		List<Reviewed> others = new List<Reviewed>();
		foreach (Reviewed reviewed in _listed)
		{
			string source = Source(reviewed.Change);
			(counts[source] < share ? first : others).Add(reviewed);
			counts[source]++;
		}
		first.AddRange(others.GetRange(0, _limit - first.Count));
		first.Sort(Reviewed.Compare);
		_listed = first;
	}

	// A watch, and the account below whose profile or hive the change is.
	private static string Source(Change change)
	{
		string[] names = change.Path.Split('\\');
		bool isOfAccount = names.Length > 2
			&& (names[0] == "HKU" || names[1].Equals("Users", StringComparison.OrdinalIgnoreCase));
		return change.Watch + "\n" + (isOfAccount ? names[names[0] == "HKU" ? 1 : 2] : "");
	}

	// Of new directories and keys the topmost speaks for those below it; each file and value stays a finding unless
	// its judge says otherwise.
	private static bool IsPart(Reviewed reviewed)
	{
		string alert = reviewed.Judgement.Alert;
		return alert == Classifier.DirectoryCreated || alert == Classifier.KeyCreated || reviewed.Judgement.IsPart;
	}

	private Dictionary<string, long> Below(HashSet<string> tops)
	{
		Dictionary<string, long> below = new Dictionary<string, long>();
		foreach (Reviewed reviewed in _listed)
		{
			string top = Top(tops, reviewed.Change);
			if (top != null)
			{
				long count;
				below.TryGetValue(top, out count);
				below[top] = count + 1;
			}
		}
		return below;
	}

	private static string Top(HashSet<string> tops, Change change)
	{
		string top = null;
		string path = change.Path;
		if (change.Kind != ChangeKinds.Created && change.Kind != ChangeKinds.Deleted)
			return null;
		for (int end = path.LastIndexOf('\\'); end > 0; end = path.LastIndexOf('\\', end - 1))
		{
			string above = Key(change, path.Substring(0, end));
			top = tops.Contains(above) ? above : top;
		}
		return top;
	}

	private static string Key(Change change, string path)
	{
		return change.Watch + "\n" + change.Kind + "\n" + path;
	}

	/// <summary>Counts what explains changes.</summary>
	private sealed class Explanations
	{
		private readonly Dictionary<string, Dictionary<string, object>> _groups =
			new Dictionary<string, Dictionary<string, object>>();

		private readonly Dictionary<string, string> _watches = new Dictionary<string, string>();

		public void Add(Change change, Judgement judgement)
		{
			string key = change.Watch + "\n" + judgement.Package + "\n" + judgement.Version + "\n"
				+ judgement.Message;
			if (!_groups.ContainsKey(key))
			{
				_groups[key] = Group(judgement.Package, judgement.Version, judgement.Message);
				_watches[key] = change.Watch;
			}
			Dictionary<string, object> group = _groups[key];
			group["count"] = (long)group["count"] + 1;
			List<object> paths = (List<object>)group["paths"];
			if (paths.Count < ShownPaths)
				paths.Add(change.Current.Shown);
		}

		public List<KeyValuePair<string, Dictionary<string, object>>> ByWatch()
		{
			List<KeyValuePair<string, Dictionary<string, object>>> groups =
				new List<KeyValuePair<string, Dictionary<string, object>>>();
			foreach (KeyValuePair<string, Dictionary<string, object>> group in _groups)
				groups.Add(new KeyValuePair<string, Dictionary<string, object>>(
					_watches[group.Key], group.Value));
			return groups;
		}

		public List<object> Merged()
		{
			SortedDictionary<string, Dictionary<string, object>> merged =
				new SortedDictionary<string, Dictionary<string, object>>(StringComparer.Ordinal);
			foreach (Dictionary<string, object> group in _groups.Values)
			{
				string key = group["package"] + "\n" + group["version"] + "\n" + group["message"];
				Dictionary<string, object> sum;
				if (!merged.TryGetValue(key, out sum))
				{
					sum = Group(group["package"], group["version"], group["message"]);
					merged[key] = sum;
				}
				sum["count"] = (long)sum["count"] + (long)group["count"];
				List<object> paths = (List<object>)sum["paths"];
				List<object> more = (List<object>)group["paths"];
				paths.AddRange(more.GetRange(0, Math.Min(more.Count, ShownPaths - paths.Count)));
			}
			return new List<object>(merged.Values);
		}

		private static Dictionary<string, object> Group(object package, object version, object message)
		{
			Dictionary<string, object> group = new Dictionary<string, object>();
			group["package"] = package;
			group["version"] = version;
			group["message"] = message;
			group["count"] = 0L;
			group["paths"] = new List<object>();
			return group;
		}
	}
}
}
