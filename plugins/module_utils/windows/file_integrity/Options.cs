// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections;
using System.Collections.Generic;
using System.Text.RegularExpressions;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Options
{
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Errors;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Definitions;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Model;

/// <summary>The options of either module, checked.</summary>
public sealed class Options
{
	private static readonly Regex Name = new Regex("^[A-Za-z0-9][A-Za-z0-9._-]{0,99}\\z");

	/// <summary>The directory that holds all state; null for the default.</summary>
	public string StateRoot;
	public string Baseline;

	/// <summary>Null when nothing is asked for.</summary>
	public List<Watch> Watches;

	/// <summary>The seals that the controller holds; null when no controller takes part.</summary>
	public List<string> Expected;
	public int TimeBudget;
	public int MaxChanges;
	public HashSet<string> DefaultNames = new HashSet<string>();

	/// <summary>SHA-1 thumbprints of the certificates in which chains of Microsoft's own programs end.</summary>
	public HashSet<string> MicrosoftRoots;
	public bool IsAbsent;
	public List<string> Accept = new List<string>();
	public string Reason;
	public string AcceptedBy;
	public int LockTimeout;

	/// <summary>stage, commit, abort or null.</summary>
	public string Phase;
	public string Digest;

	/// <summary>Say whether a comparison follows in the same run.</summary>
	public bool Compares;

	/// <summary>Say whether the controller knows nothing of a baseline: anybody can have made it.</summary>
	public bool Unsealed
	{
		get { return Expected != null && Expected.Count == 0; }
	}

	public bool HasSeal
	{
		get { return Expected != null && Expected.Count > 0; }
	}

	/// <summary>Return the options of a task. Raises UsageException, which names the option.</summary>
	public static Options Parse(IDictionary parameters)
	{
		Options options = new Options();
		options.Baseline = Text(parameters, "baseline") ?? "default";
		if (!Name.IsMatch(options.Baseline))
			throw new UsageException(
				"baseline '" + options.Baseline + "' is not a name: use letters, digits and . _ -, beginning with "
				+ "a letter or digit");
		options.StateRoot = Text(parameters, "state_dir");
		options.TimeBudget = Number(parameters, "time_budget", 0);
		options.MaxChanges = Number(parameters, "max_changes", 1000);
		options.LockTimeout = Number(parameters, "lock_timeout", 60);
		options.IsAbsent = Text(parameters, "state") == "absent";
		options.Accept = Texts(parameters, "accept") ?? new List<string>();
		options.Reason = Text(parameters, "reason") ?? "";
		options.AcceptedBy = Text(parameters, "accepted_by") ?? "";
		CheckAcceptance(options);
		options.Expected = Texts(parameters, "_expected_digests");
		options.DefaultNames = new HashSet<string>(Texts(parameters, "_default_names") ?? new List<string>());
		options.MicrosoftRoots = new HashSet<string>(
			Texts(parameters, "_microsoft_roots") ?? new List<string>(), StringComparer.OrdinalIgnoreCase);
		options.Phase = Text(parameters, "_phase");
		options.Digest = Text(parameters, "_digest");
		options.Compares = parameters["_compare"] is bool && (bool)parameters["_compare"];
		IEnumerable watches = parameters["watches"] as IEnumerable;
		if (watches != null)
			options.Watches = Definitions.FromOptions(watches);
		return options;
	}

	private static void CheckAcceptance(Options options)
	{
		if (options.Accept.Count == 0)
			return;
		string missing = options.Reason.Trim().Length == 0 ? "reason" : null;
		missing = missing ?? (options.AcceptedBy.Trim().Length == 0 ? "accepted_by" : null);
		if (missing != null)
			throw new UsageException(missing + " is missing; accept needs it for the record in the baseline");
	}

	private static string Text(IDictionary parameters, string name)
	{
		string text = parameters[name] as string;
		return string.IsNullOrEmpty(text) ? null : text;
	}

	private static int Number(IDictionary parameters, string name, int otherwise)
	{
		object value = parameters[name];
		int number = value == null ? otherwise : Convert.ToInt32(value);
		if (number < 0)
			throw new UsageException(name + " is " + number + "; use 0 or more");
		return number;
	}

	private static List<string> Texts(IDictionary parameters, string name)
	{
		return Definitions.Texts(parameters[name]);
	}
}
}
