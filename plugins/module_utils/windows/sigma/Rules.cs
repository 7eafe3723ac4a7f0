// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.sigma.Rules
{
/// <summary>What is said when a rule, or a correlation of rules, matches (module_utils/sigma/model.py).</summary>
public sealed class Rule
{
	/// <summary>The alert of rules that name none of the catalogue: the user's.</summary>
	public const string UserAlert = "audit_sigma_match";

	/// <summary>The rule's UUID, or its name.</summary>
	public readonly string Id;

	public readonly string Alert;
	public readonly string Title;

	/// <summary>Null where it is that of the alert.</summary>
	public readonly string Severity;

	public readonly List<string> Techniques;

	/// <summary>The fields whose values make the finding's subject; empty where the reader has to choose.</summary>
	public readonly List<string> Subject;

	/// <summary>Null where there is none.</summary>
	public readonly string Message;

	public readonly string Source;

	/// <summary>It is only part of correlations and no finding by itself.</summary>
	public readonly bool IsComponent;

	internal Rule(Dictionary<string, object> entry)
	{
		Id = (string)entry["id"];
		Alert = (string)entry["alert"];
		Title = (string)entry["title"];
		Severity = Compiled.Member(entry, "severity") as string;
		Techniques = Compiled.Texts(entry, "techniques");
		Subject = Compiled.Texts(entry, "subject");
		Message = Compiled.Member(entry, "message") as string;
		Source = Compiled.Member(entry, "source") as string ?? "";
		IsComponent = true.Equals(Compiled.Member(entry, "component"));
	}
}

/// <summary>Members of the compiled form, which has none that are empty.</summary>
public static class Compiled
{
	private const long Version = 1;
	private static readonly List<object> None = new List<object>();

	/// <summary>
	/// Return the rules, then the correlations, so that a rule's index is its number. FormatException for another
	/// version.
	/// </summary>
	public static List<Rule> Rules(Dictionary<string, object> compiled)
	{
		object version = Member(compiled, "version");
		if (!Version.Equals(version))
			throw new FormatException("compiled rules have version " + version + ", and this reads " + Version);
		List<Rule> rules = new List<Rule>();
		foreach (string section in new[] { "rules", "correlations" })
		{
			foreach (object entry in List(compiled, section))
				rules.Add(new Rule((Dictionary<string, object>)entry));
		}
		return rules;
	}

	/// <summary>Return a member, null where there is none.</summary>
	public static object Member(Dictionary<string, object> entry, string name)
	{
		object value;
		return entry.TryGetValue(name, out value) ? value : null;
	}

	/// <summary>Return a member that is a list, an empty one where there is none.</summary>
	public static List<object> List(Dictionary<string, object> entry, string name)
	{
		return Member(entry, name) as List<object> ?? None;
	}

	/// <summary>Return a member that is a list of texts.</summary>
	public static List<string> Texts(Dictionary<string, object> entry, string name)
	{
		return List(entry, name).ConvertAll(text => (string)text);
	}
}
}
