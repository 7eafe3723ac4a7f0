// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Text;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RegistryCollector
{
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Registry;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Coverage;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Printable;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Model;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RegistryKeyReader;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RegistryPattern;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.TaskData;

/// <summary>Reads the registry keys and values of a watch. Not for use by several threads.</summary>
public sealed class RegistryCollector : ICollector, IDisposable
{
	/// <summary>How many keys and values are read of one watch at most.</summary>
	public const int LargestWatch = 500000;

	private const int NamedHives = 20;
	private const string NotSignedIn = "this account is not signed in";

	private readonly IRegistry _registry;
	private readonly int _limit;
	private readonly KeyEntries _entries = new KeyEntries();
	private readonly RegistryKeyReader _reader = new RegistryKeyReader();
	private List<UnloadedHive> _unloaded;
	private uint _unloadedStatus;

	/// <summary>Says whether the content of a file is compared. %NAME% in its path is a variable of the host.
	/// </summary>
	public Func<string, bool> IsCompared = delegate { return false; };

	public RegistryCollector(IRegistry registry, int limit = LargestWatch)
	{
		_registry = registry;
		_limit = limit;
	}

	public void Collect(Watch watch, ScopeCoverage coverage, Deadline deadline, Action<Entry> emit)
	{
		RegistryWalk walk = new RegistryWalk(_reader, _entries, watch, coverage, deadline, emit, _limit);
		List<RegistryPattern> patterns = new List<RegistryPattern>();
		foreach (string text in watch.Registry)
			patterns.Add(RegistryPattern.Parse(text));
		// What only administrators write comes before what accounts can fill.
		List<RegistryPattern> ordered = patterns.FindAll(
			delegate(RegistryPattern pattern) { return pattern.Hive != "HKU"; });
		ordered.AddRange(patterns.FindAll(
			delegate(RegistryPattern pattern) { return pattern.Hive == "HKU"; }));
		foreach (RegistryPattern pattern in ordered)
		{
			if (walk.IsOver)
			{
				walk.Leave(pattern.Text);
				continue;
			}
			IRegistryKey root;
			uint status = _registry.OpenRoot(pattern.Hive, out root);
			if (status != RegistryStatus.Success)
			{
				coverage.Skip(pattern.Hive, "it cannot be opened: " + RegistryKeyReader.Describe(status));
				continue;
			}
			using (root)
				Expand(walk, coverage, root, pattern.Hive, pattern, 0);
		}
		if (patterns.Exists(IsForEveryUser))
			SkipUnloaded(coverage);
	}

	public void Dispose()
	{
		_entries.Dispose();
		_reader.Dispose();
	}

	private static bool IsForEveryUser(RegistryPattern pattern)
	{
		return pattern.Hive == "HKU" && pattern.Names.Length > 0 &&
			pattern.Names[0].StartsWith("*", StringComparison.Ordinal);
	}

	private void SkipUnloaded(ScopeCoverage coverage)
	{
		if (_unloaded == null)
			_unloadedStatus = UserHives.FindUnloaded(_registry, out _unloaded);
		if (_unloadedStatus != RegistryStatus.Success)
			coverage.Skip("HKU", "which accounts are not signed in is not known: the list of profiles cannot be " +
				"read, " + RegistryKeyReader.Describe(_unloadedStatus));
		List<string> files = new List<string>();
		bool hasDefault = false;
		foreach (UnloadedHive hive in _unloaded)
		{
			bool isDefault = hive.Sid.Length == 0;
			// Nobody signs in with it. Who changes it changes the files, and watches of files see that.
			if (isDefault && UserHives.Files.TrueForAll(
				delegate(string file) { return IsCompared(hive.Profile + file); }))
				continue;
			hasDefault |= isDefault;
			string profile = hive.Profile.Length > 0 ? hive.Profile : hive.Sid;
			files.Add(Printable.ShowPath((profile.Length > 0 ? profile : "the default profile") + @"\NTUSER.DAT"));
		}
		if (files.Count == 0)
			return;
		string more = files.Count > NamedHives ? " and " + (files.Count - NamedHives) + " more" : "";
		// No finding in a hive that was not read is resolved. Those of loaded hives are, unless the coverage has
		// no room for the names of the others.
		bool isListed = files.Count <= NamedHives;
		coverage.Skip(isListed ? "registry files" : UserHives.Subject, "registry files of accounts that are not " +
			"signed in" + (hasDefault ? ", and of the default profile," : "") + " are not loaded and were not read (" +
			files.Count + "): " + string.Join(", ", files.GetRange(0, Math.Min(files.Count, NamedHives)).ToArray()) + more);
		foreach (UnloadedHive hive in _unloaded)
		{
			if (!isListed || hive.Sid.Length == 0)
				continue;
			string path = Printable.ShowPath(UserHives.Subject + "\\" + hive.Sid);
			coverage.Skip(path, NotSignedIn);
			coverage.Skip(path + "_Classes", NotSignedIn);
		}
	}

	/// <summary>Open what a pattern names, name by name, and walk each key that it stands for.</summary>
	private static void Expand(
		RegistryWalk walk, ScopeCoverage coverage, IRegistryKey parent, string path, RegistryPattern pattern,
		int index)
	{
		if (index == pattern.Names.Length)
		{
			walk.Start(parent, path, pattern);
			return;
		}
		string glob = pattern.Names[index];
		if (!Glob.IsGlob(glob))
		{
			Enter(walk, coverage, parent, path, glob, pattern, index);
			return;
		}
		bool isHive = index == 0 && pattern.Hive == "HKU";
		foreach (string name in walk.Subkeys(parent, path))
		{
			if (index == 0)
				walk.Share(isHive);
			if (walk.IsOver)
			{
				walk.Leave(path);
				return;
			}
			if (isHive && !UserHives.IsAccount(name))
			{
				walk.Skip(path + "\\" + name, "a program loaded this registry file for a while: it is of no " +
					"account that is signed in, and was not read");
				continue;
			}
			if (Glob.Matches(glob, name) && !walk.IsExcluded(path + "\\" + name, name))
				Enter(walk, coverage, parent, path, name, pattern, index);
		}
		if (index == 0)
			walk.Share(false);
	}

	private static void Enter(
		RegistryWalk walk, ScopeCoverage coverage, IRegistryKey parent, string path, string name,
		RegistryPattern pattern, int index)
	{
		string childPath = path + "\\" + name;
		bool isLast = index == pattern.Names.Length - 1;
		IRegistryKey child;
		uint status = parent.Open(name, false, out child);
		if (status != RegistryStatus.Success)
		{
			if (!RegistryStatus.IsAbsent(status))
				walk.Skip(childPath, "the key cannot be opened: " + RegistryKeyReader.Describe(status));
			return;
		}
		using (child)
		{
			RegistryValue link;
			bool isLink = !isLast && child.Find(RegistryLinks.ValueName, out link) == RegistryStatus.Success &&
				link.Type == RegistryLinks.ValueType;
			if (!isLink)
			{
				Expand(walk, coverage, child, childPath, pattern, index + 1);
				return;
			}
		}
		if (Follow(walk, parent, childPath, name, out child))
		{
			using (child)
				Expand(walk, coverage, child, childPath, pattern, index + 1);
		}
	}

	/// <summary>Open the target of a link above a watched key if it is Windows' own; else record it.</summary>
	private static bool Follow(
		RegistryWalk walk, IRegistryKey parent, string path, string name, out IRegistryKey target)
	{
		IRegistryKey link;
		target = null;
		if (parent.Open(name, false, out link) != RegistryStatus.Success)
			return false;
		using (link)
		{
			string text = walk.LinkTarget(link);
			if (text == null || RegistryLinks.IsKnown(path, text))
			{
				// S-1-5-18 is .DEFAULT under another name, which is read under its own.
				return RegistryPattern.NameOf(path) != "S-1-5-18" &&
					parent.Open(name, true, out target) == RegistryStatus.Success;
			}
			walk.Link(link, path);
			walk.Skip(path, "it is a symbolic link to " + Printable.ShowPath(text) + ", which is not followed");
			return false;
		}
	}
}

/// <summary>A profile of this host whose hive is not loaded.</summary>
public sealed class UnloadedHive
{
	/// <summary>The account's SID; empty for the profile that each new account gets.</summary>
	public string Sid;

	/// <summary>The profile's directory as the registry names it, empty when it does not.</summary>
	public string Profile;
}

/// <summary>The hives of accounts: HKU\SID exists while one is signed in or a service runs as it.</summary>
public static class UserHives
{
	/// <summary>What coverage calls all hives together.</summary>
	public const string Subject = "HKU";

	/// <summary>The registry files of a profile, below its directory.</summary>
	public static readonly List<string> Files =
		new List<string> { @"\NTUSER.DAT", @"\AppData\Local\Microsoft\Windows\UsrClass.dat" };

	private const string Profiles = @"SOFTWARE\Microsoft\Windows NT\CurrentVersion\ProfileList";

	/// <summary>
	/// Return the profiles whose hive is not loaded, and an NTSTATUS that is not 0 when the list of profiles or
	/// the loaded hives cannot be read.
	/// </summary>
	public static uint FindUnloaded(IRegistry registry, out List<UnloadedHive> unloaded)
	{
		unloaded = new List<UnloadedHive>();
		HashSet<string> loaded = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
		IRegistryKey users;
		uint status = registry.OpenRoot("HKU", out users);
		if (status != RegistryStatus.Success)
			return status;
		using (users)
		{
			foreach (string name in Names(users))
				loaded.Add(name);
		}
		IRegistryKey machine;
		status = registry.OpenRoot("HKLM", out machine);
		if (status != RegistryStatus.Success)
			return status;
		IRegistryKey profiles;
		using (machine)
			status = machine.Open(Profiles, true, out profiles);
		if (status != RegistryStatus.Success)
			return RegistryStatus.IsAbsent(status) ? RegistryStatus.Success : status;
		using (profiles)
		{
			unloaded.Add(new UnloadedHive { Sid = "", Profile = TextOf(profiles, "Default") });
			foreach (string name in Names(profiles))
			{
				// A profile whose temporary copy is in use has a second key, SID.bak.
				if (name.StartsWith("S-1-", StringComparison.Ordinal) && !loaded.Contains(name) &&
					name.IndexOf('.') < 0)
					unloaded.Add(new UnloadedHive { Sid = name, Profile = ProfileOf(profiles, name) });
			}
		}
		return RegistryStatus.Success;
	}

	private static IEnumerable<string> Names(IRegistryKey key)
	{
		string name;
		for (int index = 0; key.Subkey(index, out name) == RegistryStatus.Success; index++)
			yield return name;
	}

	private static string ProfileOf(IRegistryKey profiles, string name)
	{
		IRegistryKey profile;
		if (profiles.Open(name, false, out profile) != RegistryStatus.Success)
			return "";
		using (profile)
			return TextOf(profile, "ProfileImagePath");
	}

	private static string TextOf(IRegistryKey key, string name)
	{
		RegistryValue value;
		uint status = key.Find(name, out value);
		return status == RegistryStatus.Success ? RegistryData.Text(value.Data, value.Data.Length) : "";
	}

	/// <summary>Say whether a name below HKU is that of an account's hive, not one that a tool loaded.</summary>
	public static bool IsAccount(string name)
	{
		return name.StartsWith("S-1-", StringComparison.OrdinalIgnoreCase) ||
			name.Equals(".DEFAULT", StringComparison.OrdinalIgnoreCase);
	}
}

/// <summary>Makes entries of keys and values.</summary>
public sealed class KeyEntries : IDisposable
{
	/// <summary>The data of Triggers of a task that are not of a known form.</summary>
	public const string UnknownPrincipal = "who runs the task cannot be read";

	private readonly RegistryData _data = new RegistryData();

	public Entry OfKey(string path, KeyContent content, Watch watch)
	{
		Dictionary<string, object> attributes = new Dictionary<string, object>();
		if (content.Information != null)
		{
			Add(attributes, watch, "last_write", content.Information.LastWrite);
			Add(attributes, watch, "class", Printable.Show(content.Information.Class));
		}
		if (content.Security != null)
		{
			if (content.Security.Owner != null)
				Add(attributes, watch, "owner", content.Security.Owner);
			Add(attributes, watch, "dacl", content.Security.Dacl);
		}
		if (content.Link != null)
			Add(attributes, watch, "link", Printable.ShowPath(content.Link));
		return new Entry(EntryKinds.Key, path, attributes);
	}

	public Entry OfValue(string path, RegistryValue value, Watch watch)
	{
		Dictionary<string, object> attributes = new Dictionary<string, object>();
		Add(attributes, watch, "type", RegistryData.TypeName(value.Type));
		bool isOfTask = value.Data != null && watch.Records("data") &&
			path.IndexOf(@"\Schedule\TaskCache\Tasks\", StringComparison.OrdinalIgnoreCase) >= 0;
		if (isOfTask && value.Name.Equals("Triggers", StringComparison.OrdinalIgnoreCase))
		{
			// The triggers change daily. Only the principal is compared.
			string principal = TaskData.Principal(value.Data) ?? UnknownPrincipal;
			attributes["data"] = Printable.ShowPath(principal);
			attributes["sha256"] = _data.Digest(Encoding.UTF8.GetBytes(Printable.ShowPath(principal)));
			return new Entry(EntryKinds.Value, path, attributes);
		}
		Add(attributes, watch, "size", value.Size);
		if ((value.Data != null || value.Sha256 != null) && watch.Records("sha256"))
		{
			attributes["sha256"] = value.Sha256 ?? _data.Digest(value.Data);
			string text = RegistryData.Show(value.Name, value.Type, value.Data);
			if (isOfTask && value.Name.Equals("Actions", StringComparison.OrdinalIgnoreCase))
			{
				string actions = TaskData.Actions(value.Data, RegistryData.Separator);
				text = actions == null || actions.Length > RegistryData.LongestText / 2
					? null
					: RegistryData.Safe(actions);
			}
			if (text != null)
				attributes["data"] = text;
		}
		return new Entry(EntryKinds.Value, path, attributes);
	}

	public void Dispose()
	{
		_data.Dispose();
	}

	private static void Add(Dictionary<string, object> attributes, Watch watch, string name, object value)
	{
		if (watch.Records(name))
			attributes[name] = value;
	}
}

/// <summary>One run over the keys of one watch: its limits, exclusions, and what was emitted already.</summary>
public sealed class RegistryWalk
{
	// The largest part of the limit that one of them gets.
	private const int Hives = 10;

	private readonly RegistryKeyReader _reader;
	private readonly KeyEntries _entries;
	private readonly Watch _watch;
	private readonly ScopeCoverage _coverage;
	private readonly Deadline _deadline;
	private readonly Action<Entry> _emit;
	private readonly int _limit;
	private readonly RegistryExclusions _exclusions;
	private readonly bool _withSecurity;
	// By case: what .NET takes for the same name can be two names to the registry.
	private readonly HashSet<string> _emitted = new HashSet<string>(StringComparer.Ordinal);
	private bool _hasLeft;
	private int _most;

	public RegistryWalk(
		RegistryKeyReader reader, KeyEntries entries, Watch watch, ScopeCoverage coverage, Deadline deadline,
		Action<Entry> emit, int limit)
	{
		_reader = reader;
		_entries = entries;
		_watch = watch;
		_coverage = coverage;
		_deadline = deadline;
		_emit = emit;
		_limit = limit;
		_most = limit;
		_exclusions = new RegistryExclusions(watch.Exclude);
		_withSecurity = watch.Records("owner") || watch.Records("dacl");
	}

	/// <summary>Say whether the time or the number of entries of this watch is used up.</summary>
	public bool IsOver
	{
		get { return _deadline.Passed || _emitted.Count >= _most; }
	}

	/// <summary>
	/// Allow the hive that is read next a part of the limit only, so that an account which fills its own does not
	/// keep the others from being read. false: the limit counts again.
	/// </summary>
	public void Share(bool isHive)
	{
		_most = isHive ? Math.Min(_limit, _emitted.Count + Math.Max(1, _limit / Hives)) : _limit;
	}

	/// <summary>Name in the coverage what is left out because the walk is over.</summary>
	public void Leave(string path)
	{
		Skip(path, _deadline.Passed
			? _deadline.Reason
			: _emitted.Count < _limit
			? "the account has more than " + _limit / Hives + " keys and values there, and the rest was not read"
			: "the watch has more than " + _limit + " keys and values; give it fewer paths or more exclusions");
	}

	public void Skip(string path, string reason)
	{
		_coverage.Skip(Printable.ShowPath(path), reason);
	}

	public bool IsExcluded(string path, string name)
	{
		return _exclusions.Key(path, name);
	}

	/// <summary>Read a key that a pattern stands for, and below it as deep as the watch says.</summary>
	public void Start(IRegistryKey key, string path, RegistryPattern pattern)
	{
		_hasLeft = false;
		if (pattern.Value == null)
		{
			Walk(key, path, _watch.Recurse);
			return;
		}
		KeyContent content = _reader.Read(key, false, true, false, _limit);
		Report(content, path);
		foreach (RegistryValue value in content.Values)
		{
			if (Glob.Matches(pattern.Value, RegistryPattern.Shown(value.Name)))
				EmitValue(path, value);
		}
	}

	/// <summary>Return the names of the subkeys of a key; what cannot be read is a skip.</summary>
	public IList<string> Subkeys(IRegistryKey key, string path)
	{
		KeyContent content = _reader.Read(key, false, false, true, _limit);
		Report(content, path);
		return content.Subkeys;
	}

	/// <summary>Return the target of a link, null when the key is none.</summary>
	public string LinkTarget(IRegistryKey key)
	{
		return _reader.Read(key, false, true, false, _limit).Link;
	}

	/// <summary>Record a link that is in the way of a watched path.</summary>
	public void Link(IRegistryKey key, string path)
	{
		Emit(_entries.OfKey(path, _reader.Read(key, _withSecurity, true, false, _limit), _watch), EntryKinds.Key);
	}

	private void Walk(IRegistryKey key, string path, int levels)
	{
		if (IsOver)
		{
			LeaveOnce(path);
			return;
		}
		KeyContent content = _reader.Read(key, _withSecurity, true, levels != 0, _most - _emitted.Count);
		if (content.IsGone)
			return;
		Report(content, path);
		Emit(_entries.OfKey(path, content, _watch), EntryKinds.Key);
		foreach (RegistryValue value in content.Values)
			EmitValue(path, value);
		foreach (string name in content.Subkeys)
		{
			string childPath = path + "\\" + name;
			if (!IsExcluded(childPath, name))
				Descend(key, name, childPath, levels < 0 ? levels : levels - 1);
		}
	}

	// Of all keys that are left out below a path, the first is named.
	private void LeaveOnce(string path)
	{
		if (!_hasLeft)
		{
			_hasLeft = true;
			Leave(path);
		}
	}

	private void Descend(IRegistryKey key, string name, string path, int levels)
	{
		IRegistryKey child;
		uint status = key.Open(name, false, out child);
		if (status == RegistryStatus.Success)
		{
			using (child)
				Walk(child, path, levels);
		}
		else if (!RegistryStatus.IsAbsent(status))
		{
			Skip(path, "the key cannot be opened: " + RegistryKeyReader.Describe(status));
		}
	}

	private void EmitValue(string key, RegistryValue value)
	{
		if (!Glob.IsListed(_watch.Include, RegistryPattern.Shown(value.Name)) || _exclusions.Value(key, value.Name))
			return;
		Entry entry = _entries.OfValue(RegistryPattern.ValuePath(key, value.Name), value, _watch);
		if (value.Data == null && value.Sha256 == null)
			_coverage.Skip(entry.Shown, "its " + value.Size + " bytes are more than the " +
				NativeRegistry.LargestValue + " that are read; only its type and size are compared");
		else if (entry.Text("data") == KeyEntries.UnknownPrincipal)
			_coverage.Skip(entry.Shown, KeyEntries.UnknownPrincipal + ", so that another account would not be seen");
		Emit(entry, EntryKinds.Value);
	}

	private void Report(KeyContent content, string path)
	{
		foreach (string problem in content.Problems)
			Skip(path, problem);
	}

	private void Emit(Entry entry, string kind)
	{
		if (_emitted.Add(Entry.Identity(kind + "\0" + entry.Path)))
		{
			_coverage.Examined++;
			_emit(entry);
		}
	}
}
}
