// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.IO;
using System.Text;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.WmiJudge
{
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Printable;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Model;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.CommandLine;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RegistryKeyReader;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RegistryFacts;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.WmiCollector;

/// <summary>Says what event subscriptions of WMI, and the files that it compiles again, mean (T1546.003).</summary>
public sealed class WmiJudge : IJudge
{
	public const string Alert = "persistence_wmi";

	private const int LongestCommand = 400;
	private const int LongestQuery = 200;
	private const int LargestMof = 4 << 20;
	private const string Usual = @"WMI\root\subscription\";

	private static readonly string[] OfContent = { "content", "size", "mtime", "created", "attributes" };

	// Windows brings these: all that is not null, false, 0 or empty, as Get-WmiObject shows it.
	private static readonly string[] OfWindows =
	{
		Usual + "NTEventLogEventConsumer.Name=\"SCM Event Log Consumer\"|EventType=1|Name=SCM Event Log Consumer|" +
		"NameOfUserSIDProperty=sid|SourceName=Service Control Manager",
		Usual + "__EventFilter.Name=\"SCM Event Log Filter\"|EventNamespace=root\\cimv2|" +
		"Name=SCM Event Log Filter|Query=select * from MSFT_SCMEventLogEvent|QueryLanguage=WQL",
		Usual + "__FilterToConsumerBinding.Consumer=\"NTEventLogEventConsumer.Name=\\\"SCM Event Log " +
		"Consumer\\\"\",Filter=\"__EventFilter.Name=\\\"SCM Event Log Filter\\\"\"|" +
		"Consumer=NTEventLogEventConsumer.Name=\"SCM Event Log Consumer\"|" +
		"Filter=__EventFilter.Name=\"SCM Event Log Filter\""
	};

	// Of Windows 7; what it runs is not there, and whoever puts it there runs it.
	private const string KernelCapture =
		Usual + "CommandLineEventConsumer.Name=\"BVTConsumer\"|CommandLineTemplate=cscript KernCap.vbs|" +
		"Name=BVTConsumer|Priority=32|WorkingDirectory=C:\\tools\\kernrate";

	private static readonly Dictionary<string, object> NoData = new Dictionary<string, object>();

	private readonly IRegistryFacts _facts;
	private readonly Func<Entry, string> _trigger;
	private readonly Func<string, byte[]> _read;

	/// <summary>trigger: what <see cref="WmiCollector.Trigger"/> says. read: returns a file, null if it cannot.
	/// </summary>
	public WmiJudge(IRegistryFacts facts, Func<Entry, string> trigger, Func<string, byte[]> read = null)
	{
		_facts = facts;
		_trigger = trigger;
		_read = read ?? ReadFile;
	}

	public Judgement JudgeEntry(Entry entry, Watch watch)
	{
		string command = entry.Kind == EntryKinds.Wmi ? Command(entry) : null;
		string query = command == null ? null : _trigger(entry);
		bool isHarmless = query != null && Content(entry).Equals(KernelCapture, StringComparison.OrdinalIgnoreCase)
			&& _facts.FileExists(@"C:\tools\kernrate\KernCap.vbs") == false;
		if (query == null || isHarmless)
			return null;
		string suspicion = Suspicion(entry);
		string message = Printable.ShowPath(entry.Path) + " runs '" + Shorten(command, LongestCommand) + "'" +
			(query == "" ? "" : " on '" + Shorten(query, LongestQuery) + "'") +
			(suspicion == null ? ": check who made it" : ", and " + suspicion);
		return Judgement.Raise(Alert, suspicion == null ? "medium" : "high", message, "T1546.003");
	}

	public Judgement JudgeChange(Change change, Watch watch)
	{
		string path = Printable.ShowPath(change.Path);
		if (change.Current.Kind != EntryKinds.Wmi)
			return !IsPlainMof(change) ? null : Judgement.Raise(
				Alert, "low", path + " was " + change.Kind + ": WMI compiles it again when its repository is " +
				"lost; it defines no event subscription", "T1546.003");
		if (change.Kind == ChangeKinds.Created && Array.IndexOf(OfWindows, Content(change.After)) >= 0)
			return Judgement.Explain("Windows", null, "explained by Windows, which logs its services' events so");
		string command = Command(change.Current);
		string type = change.Current.Text("class");
		string query = Shorten(Property(change.Current, "Query"), LongestQuery);
		string effect = command != null ? "it runs '" + Shorten(command, LongestCommand) + "'"
			: type == WmiCollector.Filter ? "it waits for '" + query + "'"
			: type == WmiCollector.Binding ? "an event of this filter starts this consumer"
			: "check what it does with events";
		bool isSmall = change.After == null || (type == WmiCollector.Filter && change.Before == null);
		string severity = isSmall ? "low" : command != null ? "high" : "medium";
		string verb = change.After == null ? " was deleted: before, " : " was " + change.Kind + ": ";
		return Judgement.Raise(Alert, severity, path + verb + effect, "T1546.003");
	}

	private string Suspicion(Entry entry)
	{
		string suspicion = null;
		string severity;
		foreach (string name in WmiCollector.Commands)
		{
			string text = Property(entry, name);
			bool isCut = text.Length > WmiCollector.LongestText && name != "ScriptText";
			suspicion = suspicion ?? (isCut ? "no command is so long: what it starts is hidden in it" :
				CommandLine.Parse(Printable.ParsePath(text), _facts.SystemRoot, _facts.Expand).Suspicion(out severity));
		}
		return suspicion;
	}

	// What a consumer runs; null for one that runs nothing.
	private static string Command(Entry entry)
	{
		string[] texts = Array.ConvertAll(
			WmiCollector.Commands, delegate(string name) { return Property(entry, name); });
		texts = Array.FindAll(texts, delegate(string text) { return text.Length > 0; });
		return texts.Length == 0 ? null : string.Join(" | ", texts);
	}

	private static string Property(Entry entry, string name)
	{
		string text;
		return Data(entry).TryGetValue(name, out text) ? text : "";
	}

	private static SortedDictionary<string, string> Data(Entry entry)
	{
		object data;
		SortedDictionary<string, string> texts =
			new SortedDictionary<string, string>(StringComparer.OrdinalIgnoreCase);
		entry.Attributes.TryGetValue("data", out data);
		foreach (KeyValuePair<string, object> property in data as Dictionary<string, object> ?? NoData)
			texts[property.Key] = property.Value as string ?? "";
		return texts;
	}

	private static string Content(Entry entry)
	{
		string content = entry.Path;
		foreach (KeyValuePair<string, string> property in Data(entry))
		{
			if (Array.IndexOf(new[] { "", "false", "0", "[]", "[\"\"]" }, property.Value) < 0)
				content += "|" + property.Key + "=" + property.Value.Replace(@"\\", @"\");
		}
		return content;
	}

	// As it was recorded, by nobody new, and without what makes a subscription, in text of any encoding.
	private bool IsPlainMof(Change change)
	{
		string directory = _facts.SystemRoot + @"\System32\wbem\AutoRecover\";
		bool isOfContent = Array.TrueForAll(
			change.Attributes, delegate(string name) { return Array.IndexOf(OfContent, name) >= 0; });
		bool isWritten = change.Kind == ChangeKinds.Created || change.Kind == ChangeKinds.Modified;
		if (!isWritten || !isOfContent || change.After.Kind != EntryKinds.File
			|| !change.Path.StartsWith(directory, StringComparison.OrdinalIgnoreCase))
			return false;
		byte[] content = _read(change.Path) ?? new byte[0];
		string text = Encoding.GetEncoding(28591).GetString(content).Replace("\0", "");
		string[] names = { "EventConsumer", "EventFilter", "FilterToConsumer" };
		using (RegistryData digests = new RegistryData())
		{
			return content.Length > 0 && digests.Digest(content) == change.After.Text("sha256")
				&& !text.StartsWith("FOMB", StringComparison.Ordinal) && !Array.Exists(names, delegate(string name)
				{
					return text.IndexOf(name, StringComparison.OrdinalIgnoreCase) >= 0;
				});
		}
	}

	private static byte[] ReadFile(string path)
	{
		try
		{
			return new FileInfo(path).Length > LargestMof ? null : File.ReadAllBytes(path);
		}
		catch (Exception)
		{
			// Whatever it is, the file counts as one that makes subscriptions.
			return null;
		}
	}

	private static string Shorten(string text, int longest)
	{
		return text.Length <= longest ? text : text.Substring(0, longest) + "...";
	}
}
}
