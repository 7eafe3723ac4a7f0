// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Security.Cryptography;
using System.Text;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Classifier
{
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Model;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Lines;

/// <summary>
/// Says what a change means: what a judge says, otherwise the alert of the watch or a generic one.
/// </summary>
public sealed class Classifier
{
	public const string DirectoryCreated = "fim_directory_created";
	public const string KeyCreated = "registry_key_created";

	private static readonly string[] Severities = { "informational", "low", "medium", "high", "critical" };

	// Of what nothing explains where the watch names no alert of its own: created, modified, deleted.
	private static readonly Dictionary<string, string[]> Generic = new Dictionary<string, string[]>
	{
		{ "program", new[] { "high", "high", "high" } },
		{ "library", new[] { "medium", "high", "medium" } },
		{ "local_program", new[] { "medium", "medium", "medium" } },
		{ "state", new[] { "low", "low", "low" } },
	};

	private static readonly string[] Other = { "low", "medium", "medium" };

	private readonly Dictionary<string, Watch> _watches = new Dictionary<string, Watch>();
	private readonly IList<IJudge> _judges;

	public Classifier(IEnumerable<Watch> watches, IList<IJudge> judges)
	{
		_judges = judges;
		foreach (Watch watch in watches)
			_watches[watch.Name] = watch;
	}

	public Judgement Classify(Change change)
	{
		Watch watch = WatchOf(change.Watch);
		Judgement judgement = Asked(change, watch) ?? Unexplained(change, watch);
		if (judgement.Alert != null)
			judgement.Techniques = Combined(judgement.Techniques, watch.Techniques);
		return judgement;
	}

	public Watch WatchOf(string name)
	{
		Watch watch;
		return _watches.TryGetValue(name, out watch) ? watch : new Watch { Name = name };
	}

	/// <summary>Return the mark of an entry that is suspicious by itself, "" for any other; see Lines.</summary>
	public string Mark(Entry entry, Watch watch)
	{
		foreach (IJudge judge in _judges)
		{
			Judgement judgement = judge.JudgeEntry(entry, watch);
			if (judgement != null)
				return judgement.Alert == null ? "" : Lines.Suspicious + judgement.Alert + Reason(entry, judgement);
		}
		return "";
	}

	// What was accepted is one reason, not all that can be wrong with the same data. Of files, another reason is
	// another attribute.
	private static string Reason(Entry entry, Judgement judgement)
	{
		if (!entry.IsRegistry)
			return "";
		using (SHA256 hash = SHA256.Create())
		{
			byte[] digest = hash.ComputeHash(Encoding.UTF8.GetBytes(judgement.Message));
			return " " + BitConverter.ToString(digest, 0, 16).Replace("-", "").ToLowerInvariant();
		}
	}

	/// <summary>Return how severe it is, as a number to compare.</summary>
	public static int Rank(string severity)
	{
		return Math.Max(0, Array.IndexOf(Severities, severity ?? "medium"));
	}

	private Judgement Asked(Change change, Watch watch)
	{
		foreach (IJudge judge in _judges)
		{
			Judgement judgement = change.Kind == ChangeKinds.Suspicious
				? judge.JudgeEntry(change.After, watch)
				: judge.JudgeChange(change, watch);
			if (judgement != null)
				return judgement;
		}
		return null;
	}

	private static Judgement Unexplained(Change change, Watch watch)
	{
		bool isRegistry = change.Current.IsRegistry;
		string shown = change.Current.Shown;
		switch (change.Kind)
		{
			case ChangeKinds.Created:
				return Created(change, watch, shown);
			case ChangeKinds.Deleted:
				string deleted = isRegistry ? "registry_entry_deleted" : "fim_file_deleted";
				return Own(watch, deleted, 2, shown + " is gone");
			case ChangeKinds.Renamed:
				string old = change.Before.Shown;
				return Own(watch, "fim_file_renamed", 1, shown + " was " + old + " before");
			case ChangeKinds.ReplacedType:
				bool isLink = change.After.Kind == EntryKinds.Link;
				return Judgement.Raise(
					isLink ? "fim_file_replaced_by_link" : "fim_file_type_changed",
					"high",
					shown + " was a " + change.Before.Kind + " and is a " + change.After.Kind + " now");
			case ChangeKinds.Modified:
				return Modified(change, watch, shown);
			default:
				return Judgement.Raise("fim_package_mismatch", "medium", shown + " is not as it should be");
		}
	}

	private static Judgement Created(Change change, Watch watch, string shown)
	{
		switch (change.After.Kind)
		{
			case EntryKinds.Directory:
				return Judgement.Raise(DirectoryCreated, "informational", "Directory " + shown + " is new");
			case EntryKinds.Key:
				// Of such a watch only values mean something.
				return watch.Alert == null || watch.Include.Count > 0
					? Judgement.Raise(KeyCreated, "low", "Registry key " + shown + " is new")
					: Own(watch, KeyCreated, 0, "Registry key " + shown + " is new");
			case EntryKinds.Value:
				return Own(watch, "registry_value_created", 0,
					"Registry value " + shown + " is new" + (HasData(change.After) ? ": " + change.After.Quoted() : ""));
			default:
				return Own(watch, "fim_file_created", 0, shown + " is new");
		}
	}

	private static Judgement Modified(Change change, Watch watch, string shown)
	{
		HashSet<string> names = new HashSet<string>(change.Attributes);
		bool isRegistry = change.After.IsRegistry;
		string what = string.Join(", ", change.Attributes);
		if (isRegistry && names.Contains("link"))
			return Judgement.Raise(
				"registry_key_redirected", "high", "Registry key " + shown + " leads to another key", "T1112");
		string code = change.After.Text("code_sha256");
		if (code != null && code == change.Before.Text("code_sha256") && watch.Alert != null
			&& !names.Overlaps(new[] { "owner", "dacl", "streams", "reparse" }))
			return Judgement.Raise(
				watch.Alert, "medium", shown + " was changed, but no module, filter or handler in it");
		if (names.Contains(Attributes.Content) || names.Contains("streams") || names.Contains("reparse")
			|| (isRegistry && names.Contains("type")) || names.Contains("signature"))
		{
			string alert = isRegistry ? "registry_value_modified" : "fim_file_modified";
			string sentence = shown + " was changed: " + what;
			if (isRegistry && HasData(change.Before) && HasData(change.After))
				sentence = shown + " was changed from " + change.Before.Quoted() + " to " + change.After.Quoted();
			return Own(watch, alert, 1, sentence);
		}
		if (names.Contains("owner") || names.Contains("dacl"))
		{
			string alert = isRegistry ? "registry_permissions_changed" : "fim_permissions_changed";
			return Judgement.Raise(alert, "medium", "The permissions of " + shown + " changed: " + what);
		}
		string metadata = isRegistry ? "registry_value_modified" : "fim_metadata_changed";
		return Judgement.Raise(metadata, "low", shown + " was changed: " + what);
	}

	private static bool HasData(Entry entry)
	{
		return entry.Text("data") != null;
	}

	private static Judgement Own(Watch watch, string generic, int column, string message)
	{
		if (watch.Alert == null)
		{
			string[] severities;
			if (!Generic.TryGetValue(watch.Category, out severities))
				severities = Other;
			return Judgement.Raise(generic, severities[column], message);
		}
		string severity = watch.Severity ?? "medium";
		if (column == 2 && watch.Category == "persistence")
		{
			// Additions are what matters.
			return Judgement.Raise(generic, Severities[Math.Max(0, Rank(severity) - 1)], message);
		}
		return Judgement.Raise(watch.Alert, severity, message);
	}

	private static IList<string> Combined(IEnumerable<string> own, IEnumerable<string> more)
	{
		List<string> combined = new List<string>(own);
		foreach (string technique in more)
		{
			if (!combined.Contains(technique))
				combined.Add(technique);
		}
		return combined;
	}
}
}
