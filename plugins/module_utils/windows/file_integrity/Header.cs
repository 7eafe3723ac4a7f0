// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Header
{
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Errors;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Definitions;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Model;

/// <summary>One change of the baseline: when and until when (s since the epoch), by whom, why and what.</summary>
public sealed class Event
{
	public double When;
	public double Until;
	public string By;
	public string Reason;

	/// <summary>created, accepted or extended.</summary>
	public string Action;
	public long Count;

	/// <summary>Shown paths, some of those that were accepted.</summary>
	public List<object> Paths = new List<object>();
}

/// <summary>The sealed header of a baseline: its watches and the history of its changes.</summary>
public sealed class Header
{
	public const string Format = "bulwark.servers file_integrity windows";
	public const long Version = 1;

	// The oldest events leave a history that is longer.
	private const int LongestHistory = 500;

	public List<Watch> Watches = new List<Watch>();
	public List<Event> History = new List<Event>();

	/// <summary>The seal of the baseline that this one was made from; null for a first one.</summary>
	public string Parent;

	/// <summary>Updates since then explain changes, in 100 ns since 1601, UTC.</summary>
	public long Since;

	/// <summary>Known once the whole baseline was read or written.</summary>
	public long Entries;

	public Dictionary<string, object> ToData()
	{
		Dictionary<string, object> data = new Dictionary<string, object>();
		data["format"] = Format;
		data["version"] = Version;
		data["parent"] = Parent;
		data["since"] = Since;
		List<object> watches = new List<object>();
		foreach (Watch watch in Watches)
			watches.Add(Definitions.ToData(watch));
		data["watches"] = watches;
		List<object> history = new List<object>();
		foreach (Event change in History)
			history.Add(EventData(change));
		data["history"] = history;
		return data;
	}

	/// <summary>Raises DamagedException or NewerException; path: the file, for the message.</summary>
	public static Header Of(Dictionary<string, object> data, string path)
	{
		object format;
		object version;
		if (data == null || !data.TryGetValue("format", out format) || !Format.Equals(format)
			|| !data.TryGetValue("version", out version) || !(version is long))
			throw new DamagedException("the baseline " + path + " is damaged: it has no header");
		if ((long)version > Version)
			throw new NewerException(
				"the baseline " + path + " was written by a newer version of bulwark.servers; "
				+ "update the controller");
		try
		{
			Header header = new Header { Parent = data["parent"] as string, Since = (long)data["since"] };
			foreach (object watch in (List<object>)data["watches"])
				header.Watches.Add(Definitions.FromData((Dictionary<string, object>)watch));
			foreach (object change in (List<object>)data["history"])
				header.History.Add(ToEvent((Dictionary<string, object>)change));
			return header;
		}
		catch (Exception error)
		{
			if (error is InvalidCastException || error is KeyNotFoundException || error is FormatException
				|| error is NullReferenceException || error is OverflowException)
				throw new DamagedException("the baseline " + path + " is damaged: its header is not one", error);
			throw;
		}
	}

	/// <summary>Return the header of the baseline that an event makes of this one.</summary>
	public Header FollowedBy(Event change, string parent, List<Watch> watches)
	{
		Header next = new Header { Parent = parent, Watches = watches, Since = Since };
		next.History.AddRange(History);
		next.History.Add(change);
		if (next.History.Count > LongestHistory)
			next.History.RemoveRange(0, next.History.Count - LongestHistory);
		return next;
	}

	/// <summary>Return the baseline that both modules return. header: null when there is none to believe.</summary>
	public static Dictionary<string, object> Summary(Header header, string seal)
	{
		Dictionary<string, object> summary = new Dictionary<string, object>();
		summary["exists"] = header != null || seal != null;
		if (seal != null)
			summary["digest"] = seal;
		if (header == null || header.History.Count == 0)
			return summary;
		Event last = header.History[header.History.Count - 1];
		summary["created"] = header.History[0].When;
		summary["updated"] = last.When;
		summary["updated_by"] = last.By;
		summary["reason"] = last.Reason;
		summary["entries"] = header.Entries;
		List<object> names = new List<object>();
		foreach (Watch watch in header.Watches)
			names.Add(watch.Name);
		summary["watches"] = names;
		return summary;
	}

	private static Dictionary<string, object> EventData(Event change)
	{
		Dictionary<string, object> data = new Dictionary<string, object>();
		data["when"] = change.When;
		data["until"] = change.Until;
		data["by"] = change.By;
		data["reason"] = change.Reason;
		data["action"] = change.Action;
		data["count"] = change.Count;
		data["paths"] = change.Paths;
		return data;
	}

	private static Event ToEvent(Dictionary<string, object> data)
	{
		return new Event
		{
			When = Convert.ToDouble(data["when"]),
			Until = Convert.ToDouble(data["until"]),
			By = (string)data["by"],
			Reason = (string)data["reason"],
			Action = (string)data["action"],
			Count = (long)data["count"],
			Paths = (List<object>)data["paths"],
		};
	}
}
}
