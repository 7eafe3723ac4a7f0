// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Model
{
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Coverage;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Json;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Printable;

/// <summary>The kinds that an <see cref="Entry"/> can have.</summary>
public static class EntryKinds
{
	public const string File = "file";
	public const string Directory = "directory";

	/// <summary>A reparse point that names another path: a symbolic link, a junction or a mount point.</summary>
	public const string Link = "link";
	public const string Key = "key";
	public const string Value = "value";

	/// <summary>An instance in the repository of WMI: WMI\NAMESPACE\CLASS.KEY="x".</summary>
	public const string Wmi = "wmi";
}

/// <summary>One file, directory, registry key or value, or instance of WMI as it was recorded or is now.</summary>
public sealed class Entry
{
	private const int LongestIdentity = 300;

	public readonly string Kind;

	/// <summary>The raw path. Registry paths are as Sysmon writes them: HKLM\KEY, HKU\SID\KEY, KEY\VALUE.</summary>
	public readonly string Path;

	/// <summary>JSON values by name. An attribute that is not known is missing and is never compared.</summary>
	public readonly Dictionary<string, object> Attributes;

	// Characters of data in a message.
	private const int QuotedData = 200;

	public Entry(string kind, string path, Dictionary<string, object> attributes)
	{
		Kind = kind;
		Path = path;
		Attributes = attributes;
	}

	/// <summary>Return a text attribute, null where it is not known.</summary>
	public string Text(string name)
	{
		object value;
		return Attributes.TryGetValue(name, out value) ? value as string : null;
	}

	/// <summary>The data of a value in quotation marks, or its type and size where the data is not recorded.</summary>
	public string Quoted()
	{
		string data = Text("data");
		if (data == null)
			return (Text("type") ?? "data") + " of " + (Number("size") ?? 0) + " bytes";
		return "'" + (data.Length <= QuotedData ? data : data.Substring(0, QuotedData) + "...") + "'";
	}

	/// <summary>Return a number, null where it is not known.</summary>
	public long? Number(string name)
	{
		object value;
		return Attributes.TryGetValue(name, out value) && value is long ? (long?)(long)value : null;
	}

	/// <summary>The path for people and findings; what a value's name has escaped stays as it is.</summary>
	public string Shown
	{
		get
		{
			int end = Kind == EntryKinds.Value ? Path.LastIndexOf('\\') + 1 : Path.Length;
			return Printable.ShowPath(Path.Substring(0, end)) + Again(Path.Substring(end));
		}
	}

	/// <summary>What a finding is about. A key ends with a backslash: a value can have its path.</summary>
	public string Subject
	{
		get { return Kind == EntryKinds.Key ? Shown + "\\" : Shown; }
	}

	/// <summary>
	/// Return a path to remember, or its digest where it is long: those of accounts can have 32,767 characters.
	/// </summary>
	public static string Identity(string path)
	{
		if (path.Length <= LongestIdentity)
			return path;
		// As it is, also with half a surrogate pair.
		byte[] bytes = new byte[2 * path.Length];
		Buffer.BlockCopy(path.ToCharArray(), 0, bytes, 0, bytes.Length);
		using (SHA256 hash = SHA256.Create())
			return Convert.ToBase64String(hash.ComputeHash(bytes));
	}

	/// <summary>Escape what is not escaped yet.</summary>
	public static string Again(string shown)
	{
		return Printable.ShowPath(shown).Replace("<U+003C>U+", "<U+");
	}

	/// <summary>Say whether this is a key or a value of the registry.</summary>
	public bool IsRegistry
	{
		get { return Kind == EntryKinds.Key || Kind == EntryKinds.Value; }
	}
}

/// <summary>The kinds that a <see cref="Change"/> can have.</summary>
public static class ChangeKinds
{
	public const string Created = "created";
	public const string Deleted = "deleted";
	public const string Modified = "modified";

	/// <summary>Before.Path is the old name.</summary>
	public const string Renamed = "renamed";

	/// <summary>A file became a directory or link, or the other way round.</summary>
	public const string ReplacedType = "replaced_type";

	/// <summary>No change since the baseline: an entry is suspicious by itself, as long as it stays so.</summary>
	public const string Suspicious = "package_mismatch";
}

/// <summary>One difference between the baseline and the host.</summary>
public sealed class Change
{
	public string Kind;

	/// <summary>The raw path now, or before it was deleted.</summary>
	public string Path;

	public string Watch;

	/// <summary>Null when created.</summary>
	public Entry Before;

	/// <summary>Null when deleted.</summary>
	public Entry After;

	/// <summary>Who made it, null where no record says it.</summary>
	public Actor Actor;

	/// <summary>Names that differ, sorted; empty for created and deleted.</summary>
	public string[] Attributes = new string[0];

	/// <summary>
	/// 32 hexadecimal digits over path, kind and the state after, by which this change is accepted.
	/// </summary>
	public string Id;

	/// <summary>After, or before where it is deleted.</summary>
	public Entry Current
	{
		get { return After ?? Before; }
	}
}

/// <summary>Who had the last access of a kind that can make a change, as a record has it: no text is escaped.</summary>
public sealed class Actor
{
	/// <summary>DOMAIN\NAME.</summary>
	public string Account;
	public string Sid;
	public string Logon;
	public long ProcessId;

	/// <summary>The path of the program; empty for what the kernel does, as for files on a share.</summary>
	public string Image;

	/// <summary>In 100 ns since 1601.</summary>
	public long Time;
	public long RecordId;
	public int EventId;

	/// <summary>How many others, of another account or program, had such access since the baseline.</summary>
	public long Others;
}

/// <summary>What a change or a first look means: an alert to raise, or what explains the change.</summary>
public sealed class Judgement
{
	/// <summary>An id of the catalogue; null for an explanation.</summary>
	public string Alert;

	/// <summary>informational, low, medium, high or critical.</summary>
	public string Severity;

	/// <summary>One sentence that names the entry; for an explanation "explained by WHAT".</summary>
	public string Message;

	/// <summary>ATT&amp;CK ids; those of the watch are added.</summary>
	public IList<string> Techniques = new List<string>();

	/// <summary>Added to the evidence's data: JSON values by name. Null for none.</summary>
	public Dictionary<string, object> Evidence;

	/// <summary>What explains the change: a publisher or an update (KB5034123). Null for an alert.</summary>
	public string Package;

	/// <summary>The version or build of it; null when there is none.</summary>
	public string Version;

	/// <summary>Only the host's own records explain it: it is counted in a finding about its package.</summary>
	public bool Claimed;

	/// <summary>A part of the key or directory it is in: counted with that where all of it came or went.</summary>
	public bool IsPart;

	public static Judgement Raise(string alert, string severity, string message, params string[] techniques)
	{
		return new Judgement { Alert = alert, Severity = severity, Message = message, Techniques = techniques };
	}

	public static Judgement Explain(string package, string version, string message)
	{
		return new Judgement { Package = package, Version = version, Message = message };
	}

	public bool Explained
	{
		get { return Alert == null && !Claimed; }
	}
}

/// <summary>
/// Says what a change means. The judges are asked in order; the first that does not return null decides, and the
/// watch's own or the generic alert is raised when none does.
/// </summary>
public interface IJudge
{
	/// <summary>Judge a change; null where this judge knows nothing of it.</summary>
	Judgement JudgeChange(Change change, Watch watch);

	/// <summary>
	/// Judge an entry that is not changed: asked when it is recorded for the first time, and again by each
	/// comparison until it is accepted. Null where it is unsuspicious.
	/// </summary>
	Judgement JudgeEntry(Entry entry, Watch watch);
}

/// <summary>Reads the entries of a watch from the host.</summary>
public interface ICollector
{
	/// <summary>
	/// Emit every entry of the watch once. An entry or attribute that cannot be read is a skip in the coverage;
	/// after the deadline the rest is left out with its reason. Does not raise because of what the host has.
	/// </summary>
	void Collect(Watch watch, ScopeCoverage coverage, Deadline deadline, Action<Entry> emit);
}

/// <summary>The moment after which a run stops reading.</summary>
public sealed class Deadline
{
	private readonly Stopwatch _watch = Stopwatch.StartNew();

	/// <summary>The time budget in seconds, 0 for no limit.</summary>
	public readonly double Seconds;

	public Deadline(double seconds)
	{
		Seconds = seconds;
	}

	public bool Passed
	{
		get { return Seconds > 0 && _watch.Elapsed.TotalSeconds >= Seconds; }
	}

	/// <summary>Seconds since the run began.</summary>
	public double Elapsed
	{
		get { return _watch.Elapsed.TotalSeconds; }
	}

	/// <summary>The sentence for the coverage of what was left out.</summary>
	public string Reason
	{
		get
		{
			string seconds = Seconds.ToString("G6", CultureInfo.InvariantCulture);
			return "the time budget of " + seconds + " s was used up";
		}
	}
}

/// <summary>
/// One watch as the user or the collection defines it; the options of win_file_integrity say more.
/// </summary>
public sealed class Watch
{
	/// <summary>Also the coverage scope.</summary>
	public string Name;

	/// <summary>Files and directories: globs with environment variables (%SystemRoot%) not yet replaced.</summary>
	public IList<string> Paths = new List<string>();

	/// <summary>Registry keys: globs as Sysmon writes keys (HKLM\KEY, HKU\*\KEY); KEY\\NAME is one value.</summary>
	public IList<string> Registry = new List<string>();

	/// <summary>Namespaces of WMI (root\subscription) in whose globs * also stands for backslashes.</summary>
	public IList<string> Wmi = new List<string>();

	/// <summary>Globs of paths, keys or bare names that are left out.</summary>
	public IList<string> Exclude = new List<string>();

	/// <summary>Globs of names; when given, only files and values with such a name are part of the watch.</summary>
	public IList<string> Include = new List<string>();

	/// <summary>Levels below each path or key, -1 for all.</summary>
	public int Recurse = -1;

	/// <summary>Names of attributes to record, null for all. "content" stands for sha256 and data.</summary>
	public HashSet<string> Attributes;

	/// <summary>
	/// program, local_program, library, persistence, account, defence, configuration, state, other.
	/// </summary>
	public string Category = "other";

	/// <summary>The alert of the catalogue for unexplained changes; null for the generic ones.</summary>
	public string Alert;

	/// <summary>The severity of <see cref="Alert"/>; null for medium.</summary>
	public string Severity;

	/// <summary>ATT&amp;CK ids that every alert of the watch carries in addition.</summary>
	public IList<string> Techniques = new List<string>();

	/// <summary>Say whether the watch records an attribute; sha256 and data are "content".</summary>
	public bool Records(string attribute)
	{
		if (Attributes == null)
			return true;
		return Attributes.Contains(attribute == "sha256" || attribute == "data" ? "content" : attribute);
	}
}

/// <summary>Globs of one name, with * and ? for characters. Case does not matter, as in Windows.</summary>
public static class Glob
{
	private static readonly char[] Wildcards = { '*', '?' };

	/// <summary>Say whether a text has characters that stand for others.</summary>
	public static bool IsGlob(string text)
	{
		return text.IndexOfAny(Wildcards) >= 0;
	}

	public static bool Matches(string glob, string name)
	{
		int star = -1;
		int retry = 0;
		int position = 0;
		int index = 0;
		while (index < name.Length)
		{
			if (position < glob.Length && glob[position] == '*')
			{
				star = position++;
				retry = index;
			}
			else if (position < glob.Length && (glob[position] == '?' || IsSame(glob[position], name[index])))
			{
				position++;
				index++;
			}
			else if (star >= 0)
			{
				position = star + 1;
				index = ++retry;
			}
			else
			{
				return false;
			}
		}
		while (position < glob.Length && glob[position] == '*')
			position++;
		return position == glob.Length;
	}

	/// <summary>Say whether one of the globs matches, or there is none.</summary>
	public static bool IsListed(ICollection<string> globs, string name)
	{
		bool isListed = globs == null || globs.Count == 0;
		foreach (string glob in globs ?? new string[0])
			isListed = isListed || Matches(glob, name);
		return isListed;
	}

	private static bool IsSame(char left, char right)
	{
		return left == right || char.ToUpperInvariant(left) == char.ToUpperInvariant(right);
	}
}

/// <summary>Which namespaces and instances of WMI a watch covers.</summary>
public static class WmiWatch
{
	/// <summary>Say whether a watch covers a namespace (root\cimv2).</summary>
	public static bool Covers(Watch watch, string path)
	{
		return Glob.IsListed(watch.Wmi, path) && !IsExcluded(watch, @"WMI\" + path);
	}

	/// <summary>Say whether a watch leaves out a path (WMI\root\cimv2\...) or a namespace above it.</summary>
	public static bool IsExcluded(Watch watch, string path)
	{
		foreach (string glob in watch.Exclude)
		{
			// Whoever names a consumer must not hide it behind a glob that is meant for files.
			bool isOfWmi = glob.StartsWith(@"WMI\", StringComparison.OrdinalIgnoreCase);
			for (int end = path.Length; isOfWmi && end > 0; end = path.LastIndexOf('\\', end - 1))
			{
				if (Glob.Matches(glob, path.Substring(0, end)))
					return true;
			}
		}
		return false;
	}
}

/// <summary>Which attributes of two entries differ, and which state a change is about.</summary>
public static class Attributes
{
	public const string Content = "content";

	// What follows from a change of the entries below, which are reported themselves.
	private static readonly HashSet<string> NoiseOfContainers = new HashSet<string>
	{
		"mtime", "size", "links", "last_write", "file_id"
	};

	// Of another type in the registry, the data that is shown is another one, too.
	private static readonly HashSet<string> OfContent = new HashSet<string>
	{
		"sha256", "data", "code_sha256"
	};

	// What is only recorded where there is one: without it before, it is new.
	private static readonly string[] Redirections = { "link", "reparse" };

	/// <summary>
	/// Return the names that differ, sorted; "content" stands for digest and data. What one side does not know is
	/// not compared, except for a link or reparse point that appears.
	/// </summary>
	public static string[] Differing(Entry before, Entry after)
	{
		SortedDictionary<string, bool> names = new SortedDictionary<string, bool>(StringComparer.Ordinal);
		foreach (KeyValuePair<string, object> attribute in before.Attributes)
		{
			object now;
			if (IsNoise(after, attribute.Key) || !after.Attributes.TryGetValue(attribute.Key, out now))
				continue;
			if (!Same(attribute.Value, now))
				names[Shown(attribute.Key)] = true;
		}
		foreach (string name in Redirections)
		{
			if (after.Attributes.ContainsKey(name) && !before.Attributes.ContainsKey(name))
				names[name] = true;
		}
		string[] differing = new string[names.Count];
		names.Keys.CopyTo(differing, 0);
		return differing;
	}

	/// <summary>Return the state of an entry as text: equal for equal states. Null for what is gone.</summary>
	public static string State(Entry entry)
	{
		if (entry == null)
			return null;
		Dictionary<string, object> attributes = new Dictionary<string, object>();
		foreach (KeyValuePair<string, object> attribute in entry.Attributes)
		{
			if (!IsNoise(entry, attribute.Key))
				attributes[attribute.Key] = attribute.Value;
		}
		return entry.Kind + " " + Json.Write(attributes);
	}

	/// <summary>Return what two records of one path know together; what now has wins nothing that before has.
	/// </summary>
	public static Entry Completed(Entry before, Entry now)
	{
		if (before.Kind != now.Kind)
			return before;
		Dictionary<string, object> attributes = new Dictionary<string, object>(now.Attributes);
		foreach (KeyValuePair<string, object> attribute in before.Attributes)
			attributes[attribute.Key] = attribute.Value;
		return new Entry(before.Kind, before.Path, attributes);
	}

	private static bool IsNoise(Entry entry, string name)
	{
		return (entry.Kind == EntryKinds.Directory || entry.Kind == EntryKinds.Key)
			&& NoiseOfContainers.Contains(name);
	}

	private static string Shown(string name)
	{
		return OfContent.Contains(name) ? Content : name;
	}

	private static bool Same(object left, object right)
	{
		return Equals(left, right) || Json.Write(left) == Json.Write(right);
	}
}
}
