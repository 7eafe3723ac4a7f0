// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Globalization;
using System.Net;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.events.EventEvidence
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Printable;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Secrets;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.evtx.EventRecord;

/// <summary>
/// What a finding shows of a record, as OCSF evidence: the account with its SID and logon, the process and its parent,
/// files, registry values, addresses, and where the record is.
/// </summary>
public static class EventEvidence
{
	private const int Longest = 4096;
	private const int MostData = 24;
	private const int LongestData = 1024;

	// What is in other parts of the evidence, or says nothing to people.
	private static readonly HashSet<string> Elsewhere = new HashSet<string>
	{
		"Image", "CommandLine", "ProcessId", "ParentImage", "ParentCommandLine", "ParentProcessId", "CurrentDirectory",
		"User", "LogonId", "ProcessGuid", "ParentProcessGuid", "LogonGuid", "UtcTime", "NewProcessName", "NewProcessId",
		"ParentProcessName", "DestinationIp", "DestinationPort", "SourceIp", "SourcePort", "TargetFilename",
	};

	private const string Sysmon = "Microsoft-Windows-Sysmon";

	/// <param name="view">What a rule matched.</param>
	public static Dictionary<string, object> Of(EventRecord record, IDictionary<string, object> view)
	{
		Dictionary<string, object> evidence = new Dictionary<string, object>();
		Dictionary<string, object> user = User(record, view);
		Dictionary<string, object> process = Process(view, user);
		if (process.Count > 0)
			evidence["process"] = process;
		if (user.Count > 0)
			evidence["actor"] = new Dictionary<string, object> { { "user", user } };
		string file = Text(view, "TargetFilename");
		if (file.Length > 0)
			evidence["file"] = File(file);
		AddEndpoint(evidence, "dst_endpoint", view, new[] { "DestinationIp", "DestAddress" }, "DestinationPort");
		AddEndpoint(evidence, "src_endpoint", view, new[] { "SourceIp", "IpAddress", "SourceAddress" }, "SourcePort");
		evidence["data"] = Data(record, view);
		return evidence;
	}

	private static Dictionary<string, object> User(EventRecord record, IDictionary<string, object> view)
	{
		Dictionary<string, object> user = new Dictionary<string, object>();
		string subject = Text(view, "SubjectUserName");
		string domain = Text(view, "SubjectDomainName");
		string name = Text(view, "User");
		if (name.Length == 0 && subject.Length > 0 && subject != "-")
			name = domain.Length == 0 || domain == "-" ? subject : domain + "\\" + subject;
		string sid = First(view, "TargetUserSid", "SubjectUserSid");
		// S-1-0-0: a record of 4688 without another account.
		if (Text(view, "TargetUserSid") == "S-1-0-0" || Text(view, "User").Length == 0)
			sid = First(view, "SubjectUserSid");
		// The account that wrote the record: a service's own, if the record names another, and always for Sysmon.
		if (sid.Length == 0 && name.Length == 0 && record.Provider != Sysmon)
			sid = record.UserSid;
		if (name.Length > 0)
			user["name"] = Show(name);
		if (sid.Length > 0)
			user["uid"] = Show(sid);
		return user;
	}

	private static Dictionary<string, object> Process(IDictionary<string, object> view, Dictionary<string, object> user)
	{
		Dictionary<string, object> process = Program(
			First(view, "ProcessId", "SourceProcessId"), First(view, "Image", "SourceImage", "ProcessName"),
			Text(view, "CommandLine"));
		if (process.Count == 0)
			return process;
		if (Text(view, "CurrentDirectory").Length > 0)
			process["working_directory"] = Show(Text(view, "CurrentDirectory"));
		string logon = First(view, "LogonId", "SubjectLogonId");
		if (logon.Length > 0)
			process["session"] = new Dictionary<string, object> { { "uid", Show(logon) } };
		if (user.Count > 0)
			process["user"] = user;
		Dictionary<string, object> parent = Program(
			Text(view, "ParentProcessId"), Text(view, "ParentImage"), Text(view, "ParentCommandLine"));
		if (parent.Count > 0)
			process["parent_process"] = parent;
		return process;
	}

	private static Dictionary<string, object> Program(string id, string image, string line)
	{
		Dictionary<string, object> program = new Dictionary<string, object>();
		long number = Number(id);
		if (number >= 0)
			program["pid"] = number;
		if (image.Length > 0)
		{
			Dictionary<string, object> file = File(image);
			program["path"] = file["path"];
			program["name"] = file["name"];
			program["file"] = file;
		}
		if (line.Length > 0)
			program["cmd_line"] = Show(line);
		return program;
	}

	private static Dictionary<string, object> File(string path)
	{
		string shown = Show(path);
		string name = shown.Substring(shown.LastIndexOf('\\') + 1);
		return new Dictionary<string, object>
		{
			{ "name", name.Length > 0 ? name : shown }, { "path", shown }, { "type_id", 0L },
		};
	}

	private static void AddEndpoint(
		Dictionary<string, object> evidence, string name, IDictionary<string, object> view, string[] fields, string port)
	{
		IPAddress address;
		string text = First(view, fields);
		if ((text.IndexOf('.') < 0 && text.IndexOf(':') < 0) || !IPAddress.TryParse(text, out address))
			return;
		Dictionary<string, object> endpoint = new Dictionary<string, object> { { "ip", address.ToString() } };
		long number = Number(First(view, port, "IpPort"));
		if (number > 0 && number < 65536)
			endpoint["port"] = number;
		evidence[name] = endpoint;
	}

	private static Dictionary<string, object> Data(EventRecord record, IDictionary<string, object> view)
	{
		Dictionary<string, object> data = new Dictionary<string, object>();
		data["Channel"] = Show(record.Channel);
		data["TimeCreated"] = Stamp(record.Time);
		data["EventRecordID"] = record.RecordId.ToString(CultureInfo.InvariantCulture);
		data["EventID"] = record.EventId.ToString(CultureInfo.InvariantCulture);
		data["Provider"] = Show(record.Provider);
		data["Computer"] = Show(record.Computer);
		foreach (KeyValuePair<string, object> field in record.Fields)
		{
			if (data.Count >= MostData)
				break;
			string name = Show(field.Key);
			bool isElsewhere = Elsewhere.Contains(field.Key) && view.ContainsKey(field.Key);
			string text = isElsewhere ? "" : Join(field.Value);
			if (text.Length > 0 && text != "-" && !data.ContainsKey(name))
				data[name] = Show(Head(text, LongestData));
		}
		return data;
	}

	// A record may have any number as its time.
	private static string Stamp(long time)
	{
		return DateTime.FromFileTimeUtc(Math.Max(0, Math.Min(time, DateTime.MaxValue.ToFileTimeUtc())))
			.ToString("yyyy-MM-ddTHH:mm:ss.fffZ", CultureInfo.InvariantCulture);
	}

	private static string First(IDictionary<string, object> view, params string[] fields)
	{
		foreach (string field in fields)
		{
			string text = Text(view, field);
			if (text.Length > 0 && text != "-")
				return text;
		}
		return "";
	}

	private static string Text(IDictionary<string, object> view, string field)
	{
		object value;
		return view.TryGetValue(field, out value) ? Join(value) : "";
	}

	private static string Join(object value)
	{
		IEnumerable<string> texts = value as IEnumerable<string>;
		return texts != null ? string.Join(" ", texts) : value as string ?? "";
	}

	private static string Show(string text)
	{
		return Printable.ShowPath(Secrets.Mask(Head(text, Longest)));
	}

	// Not within a pair of surrogates.
	private static string Head(string text, int length)
	{
		if (text.Length <= length)
			return text;
		return text.Substring(0, char.IsHighSurrogate(text[length - 1]) ? length - 1 : length);
	}

	// -1 for none. Process ids of the Security log are hexadecimal.
	private static long Number(string text)
	{
		long number;
		bool isHex = text.StartsWith("0x", StringComparison.OrdinalIgnoreCase);
		return long.TryParse(isHex ? text.Substring(2) : text, isHex ? NumberStyles.AllowHexSpecifier : NumberStyles.None,
			CultureInfo.InvariantCulture, out number) && number >= 0 && number <= uint.MaxValue ? number : -1;
	}
}
}
