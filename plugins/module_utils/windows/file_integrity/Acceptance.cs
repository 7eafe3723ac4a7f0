// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Text;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Acceptance
{
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Errors;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Json;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Model;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Evidence;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.FileReader;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Lines;

/// <summary>Chooses the changes that a person accepts, and keeps their lines for the new baseline.</summary>
public sealed class Acceptance
{
	private const int ShownPaths = 10;

	private readonly HashSet<string> _names = new HashSet<string>();
	private readonly HashSet<string> _matched = new HashSet<string>();
	private readonly bool _all;
	private readonly bool _explained;
	private readonly bool _claimed;
	private readonly int _limit;
	private readonly List<string> _unread = new List<string>();
	private readonly List<Change>[] _listed = { new List<Change>(), new List<Change>() };
	private readonly List<byte[]> _added = new List<byte[]>();
	private readonly List<byte[]> _removed = new List<byte[]>();
	private readonly Func<Entry, string, string> _mark;
	private readonly Func<string, bool> _hasContent;

	// New keys and directories that a person accepts by name.
	private readonly HashSet<string> _tops = new HashSet<string>();
	private readonly List<string> _below = new List<string>();
	private long _belowCount;

	public long Count { get; private set; }

	/// <summary>
	/// wanted: all, explained, claimed, ids and shown paths. limit: how many changes are listed. mark: of an entry
	/// of a watch, see Lines. hasContent: says whether a watch records the content of files.
	/// </summary>
	public Acceptance(
		IEnumerable<string> wanted, int limit, Func<Entry, string, string> mark, Func<string, bool> hasContent)
	{
		_limit = limit;
		_mark = mark;
		_hasContent = hasContent;
		foreach (string name in wanted)
		{
			_all |= name == "all";
			_explained |= name == "explained";
			_claimed |= name == "claimed";
			if (name != "all" && name != "explained" && name != "claimed")
				_names.Add(name);
		}
	}

	/// <summary>Say whether every change that is explained is accepted.</summary>
	public bool TakesExplained
	{
		get { return _all || _explained; }
	}

	public void Consider(Change change, Judgement judgement)
	{
		bool named = IsNamed(change);
		bool inBulk = (_explained && judgement.Explained) || (_claimed && judgement.Claimed);
		if (!(named || _all || inBulk))
		{
			if (!judgement.Explained && IsBelowAccepted(change))
				NoteBelow(change);
			return;
		}
		if (_hasContent(change.Watch) && IsUnread(change))
		{
			// Whoever accepts it would accept content that nobody has seen.
			_unread.Add(change.Current.Shown);
			return;
		}
		if (change.Before != null)
			_removed.Add(Lines.Write(change.Before, "", ""));
		if (change.After != null)
		{
			string mark = change.Kind == ChangeKinds.Suspicious
				? Lines.Suspicious + judgement.Alert
				: _mark(change.After, change.Watch);
			mark = mark.Length == 0 ? mark : Lines.Accepted + mark.Substring(Lines.Suspicious.Length);
			_added.Add(Lines.Write(change.After, change.Watch, mark));
		}
		Count++;
		if (named && change.Kind == ChangeKinds.Created && IsContainer(change.After))
			_tops.Add(change.Path);
		List<Change> listed = _listed[judgement.Explained ? 1 : 0];
		if (listed.Count < _limit)
			listed.Add(change);
	}

	/// <summary>
	/// Return which changes could not be accepted with all others, null for none. Raises UsageException when one
	/// that is named could not.
	/// </summary>
	public string Conclude()
	{
		List<string> missing = new List<string>();
		foreach (string name in _names)
		{
			if (!_matched.Contains(name))
				missing.Add("'" + name + "'");
		}
		missing.Sort(string.CompareOrdinal);
		if (missing.Count > 0)
			throw new UsageException(
				"nothing was accepted: " + Shown(missing) + " is not a current change; compare again and review "
				+ "the changes");
		if (_unread.Count == 0)
			return null;
		string reason = "the content of " + Shown(_unread) + " could not be read; see the coverage";
		if (_names.Count > 0)
			throw new UsageException("nothing was accepted: " + reason);
		return "not accepted (" + _unread.Count + "): " + reason;
	}

	/// <summary>
	/// Return a sentence on what is new below accepted keys and directories and was not accepted; null for nothing.
	/// Nobody says that they reviewed it, and it can be there only since they did.
	/// </summary>
	public string Below()
	{
		if (_belowCount == 0)
			return null;
		string more = _belowCount > _below.Count ? " and " + (_belowCount - _below.Count) + " more" : "";
		return "new entries below accepted keys and directories were not accepted (" + _belowCount + "): "
			+ string.Join(", ", _below.ToArray()) + more
			+ ". Review them, then accept each by its id or path";
	}

	/// <summary>Return the lines of a baseline with the accepted changes in it.</summary>
	public IEnumerable<byte[]> Applied(IEnumerable<byte[]> lines)
	{
		_added.Sort(Lines.Compare);
		_removed.Sort(Lines.Compare);
		int next = 0;
		int removed = 0;
		foreach (byte[] line in lines)
		{
			while (next < _added.Count && Lines.CompareKeys(_added[next], line) < 0)
				yield return _added[next++];
			while (removed < _removed.Count && Lines.CompareKeys(_removed[removed], line) < 0)
				removed++;
			bool isReplaced = next < _added.Count && Lines.CompareKeys(_added[next], line) == 0;
			if (isReplaced)
				yield return _added[next++];
			else if (removed >= _removed.Count || Lines.CompareKeys(_removed[removed], line) != 0)
				yield return line;
		}
		while (next < _added.Count)
			yield return _added[next++];
	}

	/// <summary>Return the accepted changes, as many as the limit allows; what is explained comes last.</summary>
	public List<object> Described()
	{
		List<object> described = new List<object>();
		for (int which = 0; which < 2; which++)
		{
			foreach (Change change in _listed[which])
			{
				if (described.Count < _limit)
				{
					Dictionary<string, object> item = new Dictionary<string, object>();
					item["id"] = change.Id;
					item["path"] = change.Current.Subject;
					item["kind"] = change.Kind;
					item["explained"] = which == 1;
					described.Add(item);
				}
			}
		}
		return described;
	}

	/// <summary>Return shown paths of accepted changes, at most so many.</summary>
	public List<object> Paths(int most)
	{
		List<object> paths = new List<object>();
		foreach (object item in Described())
		{
			if (paths.Count < most)
				paths.Add(((Dictionary<string, object>)item)["path"]);
		}
		return paths;
	}

	/// <summary>Return the accepted changes as the baseline has them before and after.</summary>
	public Dictionary<string, object> Diff()
	{
		StringBuilder before = new StringBuilder();
		StringBuilder after = new StringBuilder();
		foreach (List<Change> changes in _listed)
		{
			foreach (Change change in changes)
			{
				Append(before, change, change.Before);
				Append(after, change, change.After);
			}
		}
		Dictionary<string, object> diff = new Dictionary<string, object>();
		diff["before_header"] = "baseline";
		diff["after_header"] = "baseline with " + Count + " accepted changes";
		diff["before"] = before.ToString();
		diff["after"] = after.ToString();
		return diff;
	}

	private static void Append(StringBuilder text, Change change, Entry entry)
	{
		if (entry != null)
		{
			text.Append(entry.Shown).Append(": ");
			text.Append(Json.Write(Evidence.Side(change, entry))).Append('\n');
		}
	}

	private static bool IsContainer(Entry entry)
	{
		return entry.Kind == EntryKinds.Key || entry.Kind == EntryKinds.Directory;
	}

	// Keys and directories come before what is below them.
	private bool IsBelowAccepted(Change change)
	{
		if (change.Kind != ChangeKinds.Created || _tops.Count == 0)
			return false;
		string path = change.Path;
		for (int end = path.LastIndexOf('\\'); end > 0; end = path.LastIndexOf('\\', end - 1))
		{
			if (_tops.Contains(path.Substring(0, end)))
				return true;
		}
		return false;
	}

	private void NoteBelow(Change change)
	{
		_belowCount++;
		if (_below.Count < ShownPaths)
			_below.Add(change.Current.Shown);
	}

	private bool IsNamed(Change change)
	{
		bool named = Matches(change.Id) | Matches(change.Current.Shown) | Matches(change.Current.Subject);
		return (change.Before != null && Matches(change.Before.Shown)) | named;
	}

	private bool Matches(string name)
	{
		if (!_names.Contains(name))
			return false;
		_matched.Add(name);
		return true;
	}

	private static bool IsUnread(Change change)
	{
		Entry after = change.After;
		return after != null && after.Kind == EntryKinds.File && after.Text("sha256") == null
			&& (change.Before == null || change.Before.Text("sha256") != null)
			&& !FileAttribute.IsRemote((uint)(after.Number("attributes") ?? 0), 0);
	}

	private static string Shown(List<string> names)
	{
		return string.Join(", ", names.GetRange(0, Math.Min(names.Count, ShownPaths)).ToArray());
	}
}
}
