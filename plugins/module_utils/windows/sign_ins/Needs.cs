// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.sign_ins.Needs
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.servers.plugins.module_utils.windows.sign_ins.Events;

/// <summary>Says which sign-ins a host does not record.</summary>
public static class Needs
{
	private const string Start = "0CCE";
	private const string End = "-69AE-11D9-BED3-505054503030/";

	// Who has it (A: all, D: domain controllers, S: with sshd), the digits of the subcategory's GUID that differ with the
	// outcome (or of several, of which one is enough), its name, and what is not seen without it.
	private static readonly string[] Subcategories =
	{
		"A|9215/success|Logon (success)|successful sign-ins",
		"A|9215/failure 9217/failure|Logon (failure)|failed sign-ins",
		"A|9235/success|User Account Management (success)|accounts that are locked",
		"D|9242/success|Kerberos Authentication Service (success)|successful Kerberos sign-ins to other computers",
		"D|9242/failure|Kerberos Authentication Service (failure)|failed Kerberos sign-ins to other computers",
		"D|923F/success|Credential Validation (success)|successful NTLM sign-ins to other computers",
		"D|923F/failure|Credential Validation (failure)|failed NTLM sign-ins to other computers",
	};

	// Those that win_audit_policy_info looks at. Of others, the export knows whether they are there.
	private static readonly string[,] Channels =
	{
		{ "A", Events.Security, "sign-ins" },
		{ "A", Events.Sessions, "Remote Desktop sessions, and where they come from" },
		{ "A", Events.Connections, "Remote Desktop connections without a sign-in" },
		{ "A", Events.WinRm, "which network sign-ins are WinRM's" },
		{ "S", Events.OpenSsh, "where SSH sign-ins come from, and their method" },
	};

	/// <summary>Return a sentence for everything that is not recorded and that the role of the host calls for.</summary>
	/// <param name="recorded">What Recorded returns.</param>
	/// <param name="isDomainController">Whether others' credentials are judged here.</param>
	/// <param name="hasOpenSsh">Whether sshd is installed.</param>
	public static List<string> Missing(IEnumerable<string> recorded, bool isDomainController, bool hasOpenSsh)
	{
		HashSet<string> known = new HashSet<string>(recorded, StringComparer.OrdinalIgnoreCase);
		List<string> missing = new List<string>();
		for (int row = 0; row < Channels.GetLength(0); row++)
		{
			if (IsNeeded(Channels[row, 0], isDomainController, hasOpenSsh) && !known.Contains(Channels[row, 1]))
				missing.Add("not recorded: " + Channels[row, 2] + "; the channel " + Channels[row, 1] + " is off or missing");
		}
		foreach (string line in Subcategories)
		{
			string[] parts = line.Split('|');
			bool isRecorded = false;
			foreach (string guid in parts[1].Split(' '))
			{
				string[] halves = guid.Split('/');
				isRecorded |= known.Contains(Start + halves[0] + End + halves[1]);
			}
			if (!isRecorded && IsNeeded(parts[0], isDomainController, hasOpenSsh))
				missing.Add("not recorded: " + parts[3] + "; set the audit subcategory " + parts[2] + " with win_audit_policy");
		}
		return missing;
	}

	/// <summary>
	/// Return what a host records: names of channels, and subcategories as GUID/success and GUID/failure. What is not
	/// known counts as recorded.
	/// </summary>
	/// <param name="subcategories">Those of win_audit_policy_info; null where it was not asked.</param>
	/// <param name="channels">Those that are on, or of which nothing is known.</param>
	public static ICollection<string> Recorded(
		Dictionary<string, object> subcategories, IEnumerable<string> channels)
	{
		HashSet<string> recorded = new HashSet<string>(channels, StringComparer.OrdinalIgnoreCase);
		foreach (object each in (subcategories ?? new Dictionary<string, object>()).Values)
		{
			Dictionary<string, object> flags = (Dictionary<string, object>)each;
			foreach (string outcome in new[] { "success", "failure" })
			{
				if (!false.Equals(flags[outcome]))
					recorded.Add(((string)flags["guid"]).Trim('{', '}') + "/" + outcome);
			}
		}
		if (subcategories != null && subcategories.Count > 0)
			return recorded;
		foreach (string line in Subcategories)
		{
			foreach (string guid in line.Split('|')[1].Split(' '))
				recorded.Add(Start + guid.Split('/')[0] + End + guid.Split('/')[1]);
		}
		return recorded;
	}

	private static bool IsNeeded(string role, bool isDomainController, bool hasOpenSsh)
	{
		return role == "A" || role == "D" && isDomainController || role == "S" && hasOpenSsh;
	}
}
}
