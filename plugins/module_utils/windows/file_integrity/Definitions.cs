// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections;
using System.Collections.Generic;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Definitions
{
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Errors;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Json;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Model;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.PathPattern;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RegistryPattern;

/// <summary>Watches as they come from the user and as they are sealed in the baseline.</summary>
public static class Definitions
{
	// How many watches a sentence names.
	private const int Listed = 20;

	/// <summary>Return the watches of the option. Raises UsageException that names the watch.</summary>
	public static List<Watch> FromOptions(IEnumerable options)
	{
		List<Watch> watches = new List<Watch>();
		HashSet<string> names = new HashSet<string>();
		foreach (object option in options)
		{
			IDictionary fields = option as IDictionary;
			if (fields == null)
				throw new UsageException("watches: an entry is not a watch; give each name and paths, registry or wmi");
			Watch watch = FromData(fields);
			if (watch.Name.Trim().Length == 0)
				throw new UsageException("a watch has no name; give it one");
			if (watch.Paths.Count + watch.Registry.Count + watch.Wmi.Count == 0)
				throw new UsageException(
					"watch '" + watch.Name + "' has no paths, registry or wmi; name at least one");
			if (watch.Recurse < -1)
				throw new UsageException(
					"watch '" + watch.Name + "': recurse is " + watch.Recurse
					+ "; use -1 for all levels, or 0 and more");
			CheckPatterns(watch);
			if (!names.Add(watch.Name))
				throw new UsageException(
					"two watches are named '" + watch.Name + "'; give each its own name");
			watches.Add(watch);
		}
		return watches;
	}

	// Paths are left to the collector: of those on drives that this host does not have, the coverage says so.
	private static void CheckPatterns(Watch watch)
	{
		try
		{
			foreach (string key in watch.Registry)
				RegistryPattern.Parse(key);
			new RegistryExclusions(watch.Exclude);
			foreach (string glob in watch.Exclude)
			{
				if (glob.IndexOfAny(new[] { '\\', '/' }) >= 0 && glob.IndexOf('%') < 0 && PathFilter.IsPath(glob))
					PathPattern.Parse(glob);
			}
		}
		catch (FormatException error)
		{
			throw new UsageException("watch '" + watch.Name + "': " + error.Message);
		}
	}

	/// <summary>Return a watch of an option or of a baseline's header.</summary>
	public static Watch FromData(IDictionary fields)
	{
		Watch watch = new Watch();
		watch.Name = fields["name"] as string ?? "";
		watch.Paths = Texts(fields["paths"]) ?? new List<string>();
		watch.Registry = Texts(fields["registry"]) ?? new List<string>();
		watch.Wmi = Texts(fields["wmi"]) ?? new List<string>();
		watch.Exclude = Texts(fields["exclude"]) ?? new List<string>();
		watch.Include = Texts(fields["include"]) ?? new List<string>();
		watch.Techniques = Texts(fields["techniques"]) ?? new List<string>();
		watch.Recurse = fields["recurse"] == null ? -1 : Convert.ToInt32(fields["recurse"]);
		watch.Category = fields["category"] as string ?? "other";
		List<string> attributes = Texts(fields["attributes"]);
		watch.Attributes = attributes == null || attributes.Count == 0 ? null : new HashSet<string>(attributes);
		IDictionary alert = fields["alert"] as IDictionary;
		watch.Alert = alert == null ? fields["alert"] as string : alert["id"] as string;
		watch.Severity = alert == null ? null : alert["severity"] as string;
		return watch;
	}

	/// <summary>Return a watch as JSON data, the inverse of FromData.</summary>
	public static Dictionary<string, object> ToData(Watch watch)
	{
		Dictionary<string, object> data = RecordingData(watch);
		data["category"] = watch.Category;
		data["techniques"] = List(watch.Techniques);
		data["alert"] = watch.Alert == null
			? null
			: new Dictionary<string, object> { { "id", watch.Alert }, { "severity", watch.Severity } };
		return data;
	}

	/// <summary>Return as text what of a watch decides what is recorded, without what a change means.</summary>
	public static string Recording(Watch watch)
	{
		return Json.Write(RecordingData(watch));
	}

	/// <summary>Return sealed watches that say of a change what the controller says now.</summary>
	public static List<Watch> WithMeaningOf(IEnumerable<Watch> sealedWatches, IEnumerable<Watch> current)
	{
		Dictionary<string, Watch> byName = new Dictionary<string, Watch>();
		foreach (Watch watch in current ?? new Watch[0])
			byName[watch.Name] = watch;
		List<Watch> watches = new List<Watch>();
		foreach (Watch watch in sealedWatches)
		{
			Watch meaning;
			Watch merged = FromData(ToData(watch));
			if (byName.TryGetValue(watch.Name, out meaning))
			{
				merged.Category = meaning.Category;
				merged.Alert = meaning.Alert;
				merged.Severity = meaning.Severity;
				merged.Techniques = meaning.Techniques;
			}
			watches.Add(merged);
		}
		return watches;
	}

	/// <summary>Return names by "added", "removed" and "changed".</summary>
	public static Dictionary<string, List<string>> Difference(IList<Watch> before, IList<Watch> now)
	{
		Dictionary<string, string> old = ByName(before);
		Dictionary<string, string> wanted = ByName(now);
		Dictionary<string, List<string>> difference = new Dictionary<string, List<string>>();
		difference["added"] = new List<string>();
		difference["removed"] = new List<string>();
		difference["changed"] = new List<string>();
		foreach (Watch watch in now)
		{
			string text;
			if (!old.TryGetValue(watch.Name, out text))
				difference["added"].Add(watch.Name);
			else if (text != wanted[watch.Name])
				difference["changed"].Add(watch.Name);
		}
		foreach (Watch watch in before)
		{
			if (!wanted.ContainsKey(watch.Name))
				difference["removed"].Add(watch.Name);
		}
		return difference;
	}

	/// <summary>Say whether the same is asked for, in the same order.</summary>
	public static bool Same(IList<Watch> before, IList<Watch> now)
	{
		if (before.Count != now.Count)
			return false;
		for (int i = 0; i < now.Count; i++)
		{
			if (Json.Write(ToData(before[i])) != Json.Write(ToData(now[i])))
				return false;
		}
		return true;
	}

	/// <summary>Return why a baseline is extended.</summary>
	public static string Sentence(Dictionary<string, List<string>> difference)
	{
		List<string> sentences = new List<string>();
		foreach (string kind in new[] { "added", "removed", "changed" })
		{
			List<string> names = difference[kind];
			if (names.Count > 0)
			{
				string more = names.Count > Listed ? " and " + (names.Count - Listed) + " more" : "";
				int shown = Math.Min(names.Count, Listed);
				sentences.Add(
					"Watches " + kind + ": " + string.Join(", ", names.GetRange(0, shown).ToArray()) + more + ".");
			}
		}
		return sentences.Count == 0
			? "The order of the watches changed."
			: string.Join(" ", sentences.ToArray());
	}

	/// <summary>Return a list of texts, null when there is none.</summary>
	public static List<string> Texts(object value)
	{
		string single = value as string;
		if (single != null)
			return new List<string> { single };
		IEnumerable values = value as IEnumerable;
		if (values == null)
			return null;
		List<string> texts = new List<string>();
		foreach (object item in values)
			texts.Add(Convert.ToString(item));
		return texts;
	}

	/// <summary>Return texts as a JSON list.</summary>
	public static List<object> List(IEnumerable<string> texts)
	{
		List<object> list = new List<object>();
		foreach (string text in texts)
			list.Add(text);
		return list;
	}

	private static Dictionary<string, object> RecordingData(Watch watch)
	{
		Dictionary<string, object> data = new Dictionary<string, object>();
		data["name"] = watch.Name;
		data["paths"] = List(watch.Paths);
		data["registry"] = List(watch.Registry);
		data["wmi"] = List(watch.Wmi);
		data["exclude"] = List(watch.Exclude);
		data["include"] = List(watch.Include);
		data["recurse"] = (long)watch.Recurse;
		List<string> attributes = watch.Attributes == null ? null : new List<string>(watch.Attributes);
		if (attributes != null)
			attributes.Sort(string.CompareOrdinal);
		data["attributes"] = attributes == null ? null : List(attributes);
		return data;
	}

	private static Dictionary<string, string> ByName(IEnumerable<Watch> watches)
	{
		Dictionary<string, string> byName = new Dictionary<string, string>();
		foreach (Watch watch in watches)
			byName[watch.Name] = Json.Write(ToData(watch));
		return byName;
	}
}
}
