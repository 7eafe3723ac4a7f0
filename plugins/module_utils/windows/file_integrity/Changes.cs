// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Security.Cryptography;
using System.Text;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Changes
{
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Json;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Model;

/// <summary>Makes changes of differences, and pairs the two sides of a renaming.</summary>
public sealed class Changes
{
	// Creations and deletions wait for each other. A change of more files than this is no renaming.
	private const int MostWaiting = 20000;

	// In characters of their paths and attributes, which an account can make long.
	private int _room = 32 << 20;

	private readonly Func<Entry, string, bool> _isGone;
	private readonly Action<Change> _emit;
	private readonly List<KeyValuePair<string, Entry>> _created = new List<KeyValuePair<string, Entry>>();
	private readonly List<KeyValuePair<string, Entry>> _deleted = new List<KeyValuePair<string, Entry>>();

	/// <summary>
	/// isGone: says of an entry that was not read, and its watch, whether it is deleted; notes why if it is not.
	/// </summary>
	public Changes(Func<Entry, string, bool> isGone, Action<Change> emit)
	{
		_isGone = isGone;
		_emit = emit;
	}

	/// <summary>Take an entry that the baseline does not have.</summary>
	public void Created(string watch, Entry after)
	{
		if (after.Kind == EntryKinds.File && _created.Count < MostWaiting && HasRoom(after))
		{
			_created.Add(new KeyValuePair<string, Entry>(watch, after));
			return;
		}
		Emit(ChangeKinds.Created, watch, null, after);
	}

	/// <summary>Take an entry that was not read.</summary>
	public void Missing(string watch, Entry before)
	{
		if (before.Kind == EntryKinds.File && _deleted.Count < MostWaiting && HasRoom(before))
			_deleted.Add(new KeyValuePair<string, Entry>(watch, before));
		else if (_isGone(before, watch))
			Emit(ChangeKinds.Deleted, watch, before, null);
	}

	/// <summary>Take two states of one path; return whether they differ.</summary>
	public bool Compared(string watch, Entry before, Entry after)
	{
		if (before.Kind != after.Kind)
		{
			Emit(ChangeKinds.ReplacedType, watch, before, after);
			return true;
		}
		if (Attributes.Differing(before, after).Length == 0)
			return false;
		Emit(ChangeKinds.Modified, watch, before, after);
		return true;
	}

	/// <summary>Take an entry that is suspicious by itself.</summary>
	public void Suspicious(string watch, Entry entry)
	{
		Emit(ChangeKinds.Suspicious, watch, entry, entry);
	}

	/// <summary>Pair what is missing with what was created, and emit the rest. Must be called at the end.</summary>
	public void Finish()
	{
		Dictionary<string, int> byId = new Dictionary<string, int>();
		Dictionary<string, int> byContent = new Dictionary<string, int>();
		for (int i = 0; i < _created.Count; i++)
		{
			Note(byId, Identity(_created[i].Value), i);
			Note(byContent, ContentOf(_created[i].Value), i);
		}
		Dictionary<string, int> contents = new Dictionary<string, int>();
		for (int i = 0; i < _deleted.Count; i++)
			Note(contents, ContentOf(_deleted[i].Value), i);
		HashSet<int> paired = new HashSet<int>();
		foreach (KeyValuePair<string, Entry> missing in _deleted)
		{
			Entry old = missing.Value;
			int match = Match(old, byId, byContent, contents);
			bool isPaired = match >= 0 && !paired.Contains(match);
			// Of another case, the old name still leads to the file.
			bool isSameName = isPaired && IsSameName(old.Path, _created[match].Value.Path);
			if (!isSameName && !_isGone(old, missing.Key))
				continue;
			if (isPaired)
			{
				paired.Add(match);
				Emit(ChangeKinds.Renamed, _created[match].Key, old, _created[match].Value);
			}
			else
			{
				Emit(ChangeKinds.Deleted, missing.Key, old, null);
			}
		}
		for (int i = 0; i < _created.Count; i++)
		{
			if (!paired.Contains(i))
				Emit(ChangeKinds.Created, _created[i].Key, null, _created[i].Value);
		}
		_created.Clear();
		_deleted.Clear();
	}

	/// <summary>Return the id by which a change is accepted.</summary>
	public static string Identify(Change change)
	{
		List<object> identity = new List<object>();
		identity.Add(change.Kind);
		identity.Add(change.Current.Kind == EntryKinds.Key ? change.Path + "\\" : change.Path);
		identity.Add(change.Before == null ? null : change.Before.Path);
		identity.Add(Attributes.State(change.After));
		using (SHA256 hash = SHA256.Create())
		{
			byte[] digest = hash.ComputeHash(Encoding.ASCII.GetBytes(Json.Write(identity)));
			return BitConverter.ToString(digest, 0, 16).Replace("-", "").ToLowerInvariant();
		}
	}

	private bool HasRoom(Entry entry)
	{
		if (_room > 0)
			_room -= entry.Path.Length + Json.Write(entry.Attributes).Length;
		return _room > 0;
	}

	private static bool IsSameName(string left, string right)
	{
		return string.Equals(left, right, StringComparison.OrdinalIgnoreCase);
	}

	private int Match(
		Entry missing,
		Dictionary<string, int> byId,
		Dictionary<string, int> byContent,
		Dictionary<string, int> contents)
	{
		int match;
		string identity = Identity(missing);
		if (identity != null && byId.TryGetValue(identity, out match) && match >= 0)
			return match;
		int only;
		string content = ContentOf(missing);
		bool isUnique = content != null && contents.TryGetValue(content, out only) && only >= 0
			&& byContent.TryGetValue(content, out match) && match >= 0;
		return isUnique ? byContent[content] : -1;
	}

	// -1 where several have it.
	private static void Note(Dictionary<string, int> index, string key, int position)
	{
		if (key != null)
			index[key] = index.ContainsKey(key) ? -1 : position;
	}

	// A file id is used again once a file is gone; with the same content it is the same file.
	private static string Identity(Entry entry)
	{
		string identity = entry.Text("file_id");
		return identity == null ? null : identity + " " + (entry.Text("sha256") ?? "");
	}

	private static string ContentOf(Entry entry)
	{
		long? size = entry.Number("size");
		return size > 0 ? entry.Text("sha256") : null;
	}

	private void Emit(string kind, string watch, Entry before, Entry after)
	{
		Change change = new Change { Kind = kind, Watch = watch, Before = before, After = after };
		change.Path = (after ?? before).Path;
		if (before != null && after != null && kind != ChangeKinds.Suspicious && before.Kind == after.Kind)
			change.Attributes = Attributes.Differing(before, after);
		change.Id = Identify(change);
		_emit(change);
	}
}
}
