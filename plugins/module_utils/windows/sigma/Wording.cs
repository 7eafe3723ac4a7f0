// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.sigma.Wording
{
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Printable;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Secrets;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.sigma.Rules;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.sigma.Values;

/// <summary>
/// What a finding of a rule is about, and its sentence, as module_utils/sigma/wording.py words them. Only the backslash
/// stays, as in all that is shown of Windows.
/// </summary>
public static class Wording
{
	private const int Longest = 200;

	// Of what is longer; the rest is from its end.
	private const int Beginning = 140;
	private const int LookedAt = 4096;
	private const int RememberedLimit = 512;

	// Where a rule names no fields: who and with what; nothing that is another one each time, as a process id is.
	private static readonly Dictionary<string, string[]> DefaultSubjects = new Dictionary<string, string[]>
	{
		{ "process_creation", new[] { "User", "Image" } },
		{ "file_event", new[] { "User", "TargetFilename" } },
		{ "file_access", new[] { "User", "TargetFilename" } },
		{ "file_change", new[] { "User", "TargetFilename" } },
		{ "file_delete", new[] { "User", "TargetFilename" } },
		{ "file_rename", new[] { "User", "TargetFilename" } },
		{ "create_stream_hash", new[] { "User", "TargetFilename" } },
		{ "network_connection", new[] { "Image", "DestinationIp", "DestinationPort" } },
		{ "dns_query", new[] { "Image", "QueryName" } },
		{ "registry_add", new[] { "Image", "TargetObject" } },
		{ "registry_delete", new[] { "Image", "TargetObject" } },
		{ "registry_event", new[] { "Image", "TargetObject" } },
		{ "registry_set", new[] { "Image", "TargetObject" } },
		{ "image_load", new[] { "Image", "ImageLoaded" } },
		{ "driver_load", new[] { "ImageLoaded" } },
		{ "pipe_created", new[] { "Image", "PipeName" } },
		{ "process_access", new[] { "SourceImage", "TargetImage" } },
		{ "create_remote_thread", new[] { "SourceImage", "TargetImage" } },
		{ "sign_in", new[] { "User", "SourceIp" } },
	};

	private static readonly string[] Doer = { "User", "Image" };
	private static readonly Regex Placeholder = new Regex(@"\{([\p{L}\p{N}_]+)\}", RegexOptions.CultureInvariant);
	private static readonly Dictionary<string, string> Remembered =
		new Dictionary<string, string>(StringComparer.Ordinal);

	/// <summary>
	/// Return the subject of a match: the values of the rule's subject fields, else of those that fit its source. A
	/// user's rule has its title before them, since all of these raise one alert.
	/// </summary>
	public static string Subject(Rule rule, IDictionary<string, object> view)
	{
		IList<string> fields = rule.Subject;
		string[] usual;
		if (fields.Count == 0 && DefaultSubjects.TryGetValue(rule.Source, out usual))
			fields = usual;
		// An event may lack all that the rule names.
		string values = Join(view, fields);
		if (values == null)
			values = Join(view, Doer) ?? "";
		if (rule.Alert == Rule.UserAlert && rule.Title.Length > 0)
			return values.Length > 0 ? rule.Title + ": " + values : rule.Title;
		return values.Length > 0 ? values : rule.Title;
	}

	/// <summary>
	/// Return the rule's sentence with the values of the fields that it names in braces; where it has none the title of
	/// a user's rule, else null.
	/// </summary>
	public static string Message(Rule rule, IDictionary<string, object> view)
	{
		if (rule.Message == null)
			return rule.Alert == Rule.UserAlert ? rule.Title : null;
		return Placeholder.Replace(rule.Message, delegate(Match match)
		{
			string text = Show(view, match.Groups[1].Value);
			return text.Length > 0 ? text : "?";
		});
	}

	// Null where the view has none of the fields.
	private static string Join(IDictionary<string, object> view, IList<string> fields)
	{
		List<string> shown = new List<string>();
		foreach (string field in fields)
		{
			if (Texts(view, field).Length > 0)
				shown.Add(Show(view, field));
		}
		return shown.Count > 0 ? string.Join(" ", shown.ToArray()) : null;
	}

	private static string[] Texts(IDictionary<string, object> view, string field)
	{
		object value;
		return Values.Each(Values.TextsOf(view.TryGetValue(field, out value) ? value : null));
	}

	private static string Show(IDictionary<string, object> view, string field)
	{
		string value = Values.Head(string.Join(" ", Texts(view, field)), LookedAt);
		string shown;
		if (Remembered.TryGetValue(value, out shown))
			return shown;
		if (Remembered.Count >= RememberedLimit)
			Remembered.Clear();
		return Remembered[value] = Shorten(Printable.ShowPath(Secrets.Mask(value)));
	}

	private static string Shorten(string text)
	{
		string beginning = Values.Head(text, Longest);
		if (beginning.Length == text.Length)
			return text;
		// Of long commands that begin the same, each is something else: who accepts one has not accepted the others.
		StringBuilder digest = new StringBuilder();
		using (SHA256 sha256 = SHA256.Create())
		{
			byte[] hash = sha256.ComputeHash(Encoding.UTF8.GetBytes(text));
			for (int index = 0; index < 4; index++)
				digest.Append(hash[index].ToString("x2"));
		}
		return Values.Head(text, Beginning) + "... " + Values.Tail(text, Longest - Beginning) + " (" + digest + ")";
	}
}
}
