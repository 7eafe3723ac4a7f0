// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Globalization;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.events.Sources
{
/// <summary>Some records of a channel. Ids: their event ids, none for all records of the channel.</summary>
public sealed class Records
{
	public readonly string Channel;
	public readonly int[] Ids;

	public Records(string channel, params int[] ids)
	{
		Channel = channel;
		Ids = ids;
	}
}

/// <summary>Which records make the views that rules are for: plugin_utils/sigma/sources.py names the sources.</summary>
public static class Sources
{
	public const string EveryEvent = "event";
	public const string Sysmon = "Microsoft-Windows-Sysmon/Operational";
	public const string Security = "Security";
	public const string PowerShell = "Microsoft-Windows-PowerShell/Operational";
	public const string PowerShellCore = "PowerShellCore/Operational";
	public const string ClassicPowerShell = "Windows PowerShell";

	// S: Sysmon, A: Security, P: both logs of PowerShell, C: the classic one.
	private const string Categories =
		"clipboard_capture S24;create_remote_thread S8;create_stream_hash S15;dns_query S22;driver_load S6;" +
		"file_access A4663;file_block_executable S27;file_block_shredding S28;file_change S2;" +
		"file_delete S23 S26 A4663;file_event S11 A4663;file_executable_detected S29;file_rename;image_load S7;" +
		"network_connection S3 A5156;pipe_created S17 S18;process_access S10;process_creation S1 A4688;" +
		"process_tampering S25;process_termination S5 A4689;ps_classic_provider_start C600;ps_classic_script C800;" +
		"ps_classic_start C400;ps_module P4103;ps_script P4104;raw_access_thread S9;registry_add S12;" +
		"registry_delete S12 A4657;registry_event S12 S13 S14 A4657;registry_rename S14;registry_set S13 A4657;" +
		"sysmon_error S255;sysmon_status S4 S16;wmi_event S19 S20 S21";

	private static readonly string[] None = new string[0];
	private static readonly Dictionary<string, List<Records>> ByCategory = new Dictionary<string, List<Records>>();
	private static readonly Dictionary<string, List<string>> ByRecord =
		new Dictionary<string, List<string>>(StringComparer.OrdinalIgnoreCase);

	static Sources()
	{
		foreach (string line in Categories.Split(';'))
		{
			string[] words = line.Split(' ');
			ByCategory[words[0]] = new List<Records>();
			for (int index = 1; index < words.Length; index++)
			{
				int id = int.Parse(words[index].Substring(1), CultureInfo.InvariantCulture);
				foreach (string channel in Channels(words[index][0]))
				{
					ByCategory[words[0]].Add(new Records(channel, id));
					List<string> names;
					if (!ByRecord.TryGetValue(Key(channel, id), out names))
						ByRecord[Key(channel, id)] = names = new List<string>();
					names.Add(words[0]);
				}
			}
		}
	}

	/// <summary>Return the categories that a record may be a view of.</summary>
	public static IEnumerable<string> Of(string channel, int eventId)
	{
		List<string> names;
		return ByRecord.TryGetValue(Key(channel, eventId), out names) ? names : (IEnumerable<string>)None;
	}

	/// <summary>
	/// Return what has to be read for a source: the records of a category, all records of a channel, and nothing for
	/// a category that no event log has.
	/// </summary>
	public static List<Records> Read(string source)
	{
		List<Records> records;
		if (ByCategory.TryGetValue(source, out records))
			return records;
		records = new List<Records>();
		if (source != EveryEvent)
			records.Add(new Records(source));
		return records;
	}

	private static string Key(string channel, int eventId)
	{
		return eventId.ToString(CultureInfo.InvariantCulture) + channel;
	}

	private static string[] Channels(char letter)
	{
		switch (letter)
		{
			case 'S':
				return new[] { Sysmon };
			case 'A':
				return new[] { Security };
			case 'P':
				return new[] { PowerShell, PowerShellCore };
			default:
				return new[] { ClassicPowerShell };
		}
	}
}
}
