// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Globalization;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.events.Builtin
{
/// <summary>Records of the Security log under the names and in the spelling that Sysmon has for the same.</summary>
public sealed class Builtin
{
	private const string NoUser = "S-1-0-0";
	private const int ReadData = 0x1;
	private const int WriteOrAppendData = 0x6;
	private const int Delete = 0x10000;

	private static readonly Dictionary<string, string> Levels = new Dictionary<string, string>
	{
		{ "S-1-16-0", "Untrusted" },
		{ "S-1-16-4096", "Low" },
		{ "S-1-16-8192", "Medium" },
		{ "S-1-16-8448", "Medium" },
		{ "S-1-16-12288", "High" },
		{ "S-1-16-16384", "System" },
		{ "S-1-16-20480", "Protected" },
	};

	// The beginnings of keys, the longest first.
	private static readonly string[][] Keys =
	{
		new[] { @"\REGISTRY\MACHINE\SOFTWARE\Classes", "HKCR" },
		new[] { @"\REGISTRY\MACHINE", "HKLM" },
		new[] { @"\REGISTRY\USER", "HKU" },
	};

	private readonly Dictionary<string, string> _volumes;

	/// <param name="volumes">As for Views.</param>
	public Builtin(IDictionary<string, string> volumes)
	{
		if (volumes != null)
			_volumes = new Dictionary<string, string>(volumes, StringComparer.OrdinalIgnoreCase);
	}

	/// <summary>Return the view for a category, with the record's own fields beside those of the category; null where
	/// the record is none of it. What is not known has no field.</summary>
	public Dictionary<string, object> Map(string category, int eventId, Dictionary<string, object> record)
	{
		Dictionary<string, object> view = new Dictionary<string, object>(record);
		bool belongs = true;
		switch (eventId)
		{
			case 4688:
				StartProcess(view);
				break;
			case 4689:
				SetProcess(view);
				break;
			case 4657:
				belongs = SetRegistry(category, view);
				break;
			case 4663:
				belongs = AccessFile(category, view);
				break;
			default:
				Connect(view);
				break;
		}
		return belongs ? view : null;
	}

	private void StartProcess(Dictionary<string, object> view)
	{
		string parentId = Decimal(Text(view, "ProcessId"));
		SetUser(view);
		Put(view, "ProcessId", Decimal(Text(view, "NewProcessId")));
		Put(view, "ParentProcessId", parentId);
		Put(view, "ParentUser", User(view, "Subject"));
		Put(view, "Image", FilePath(Text(view, "NewProcessName")));
		Put(view, "ParentImage", FilePath(Text(view, "ParentProcessName")));
		// Empty when the policy does not record command lines.
		Put(view, "CommandLine", Text(view, "CommandLine"));
		string level;
		if (Levels.TryGetValue(Text(view, "MandatoryLabel"), out level))
			Put(view, "IntegrityLevel", level);
		// What Windows before 10 says: full and limited tokens of administrators.
		else if (Text(view, "TokenElevationType") == "%%1937")
			Put(view, "IntegrityLevel", "High");
		else if (Text(view, "TokenElevationType") == "%%1938")
			Put(view, "IntegrityLevel", "Medium");
	}

	private bool SetRegistry(string category, Dictionary<string, object> view)
	{
		bool deletes = Text(view, "OperationType") == "%%1906";
		if (category != "registry_event" && (category == "registry_delete") != deletes)
			return false;
		string name = Text(view, "ObjectValueName");
		SetProcess(view);
		Put(view, "EventType", deletes ? "DeleteValue" : "SetValue");
		name = name == "" || name == "-" ? "(Default)" : name;
		Put(view, "TargetObject", Key(Text(view, "ObjectName")) + @"\" + name);
		if (!deletes)
			Put(view, "Details", Details(Text(view, "NewValueType"), Text(view, "NewValue")));
		return true;
	}

	private bool AccessFile(string category, Dictionary<string, object> view)
	{
		long mask;
		int wanted = category == "file_access" ? ReadData : category == "file_delete" ? Delete : WriteOrAppendData;
		if (Text(view, "ObjectType") != "File" || !TryNumber(Text(view, "AccessMask"), out mask) ||
			(mask & wanted) == 0)
			return false;
		SetProcess(view);
		Put(view, category == "file_access" ? "FileName" : "TargetFilename", FilePath(Text(view, "ObjectName")));
		return true;
	}

	private void Connect(Dictionary<string, object> view)
	{
		string protocol = Text(view, "Protocol");
		Put(view, "Protocol", protocol == "6" ? "tcp" : protocol == "17" ? "udp" : protocol);
		Put(view, "Image", FilePath(Text(view, "Application")));
		Put(view, "ProcessId", Decimal(Text(view, "ProcessID")));
		// Both have the local side as the source of what others began.
		Put(view, "Initiated", Text(view, "Direction") == "%%14593" ? "true" : "false");
		Put(view, "SourceIp", Text(view, "SourceAddress"));
		Put(view, "DestinationIp", Text(view, "DestAddress"));
		Put(view, "DestinationPort", Text(view, "DestPort"));
		Put(view, "SourceIsIpv6", Text(view, "SourceAddress").Contains(":") ? "true" : "false");
		Put(view, "DestinationIsIpv6", Text(view, "DestAddress").Contains(":") ? "true" : "false");
	}

	private void SetProcess(Dictionary<string, object> view)
	{
		SetUser(view);
		Put(view, "ProcessId", Decimal(Text(view, "ProcessId")));
		Put(view, "Image", FilePath(Text(view, "ProcessName")));
	}

	// The account of a process is its creator's unless the record names another one.
	private static void SetUser(Dictionary<string, object> view)
	{
		string target = Text(view, "TargetUserSid");
		bool hasTarget = target != "" && target != NoUser;
		Put(view, "User", User(view, hasTarget ? "Target" : "Subject"));
		Put(view, "LogonId", Text(view, hasTarget ? "TargetLogonId" : "SubjectLogonId"));
	}

	private static string User(Dictionary<string, object> view, string part)
	{
		// Its name is the machine's.
		if (Text(view, part + "UserSid") == "S-1-5-18")
			return @"NT AUTHORITY\SYSTEM";
		string name = Text(view, part + "UserName");
		string domain = Text(view, part + "DomainName");
		return name == "-" ? "" : domain == "" || domain == "-" ? name : domain + @"\" + name;
	}

	private string FilePath(string path)
	{
		if (!path.StartsWith(@"\device\", StringComparison.OrdinalIgnoreCase))
			return path;
		int end = path.IndexOf('\\', 8);
		string drive = "C:";
		return end > 0 && (_volumes == null || _volumes.TryGetValue(path.Substring(0, end), out drive))
			? drive + path.Substring(end)
			: path;
	}

	private static string Key(string name)
	{
		foreach (string[] key in Keys)
		{
			if (!Begins(name, key[0]))
				continue;
			string rest = name.Substring(key[0].Length);
			// Three digits follow.
			const string Set = @"\SYSTEM\ControlSet";
			if (key[1] == "HKLM" && rest.StartsWith(Set, StringComparison.OrdinalIgnoreCase) &&
				rest.Length >= Set.Length + 3 && (rest.Length == Set.Length + 3 || rest[Set.Length + 3] == '\\'))
				rest = @"\System\CurrentControlSet" + rest.Substring(Set.Length + 3);
			return key[1] + rest;
		}
		return name;
	}

	private static bool Begins(string name, string key)
	{
		return name.StartsWith(key, StringComparison.OrdinalIgnoreCase) &&
			(name.Length == key.Length || name[key.Length] == '\\');
	}

	// As Sysmon writes a value, by the type in the Security log: 1873 is REG_SZ, and the others follow in their order.
	private static string Details(string type, string value)
	{
		long number;
		switch (type)
		{
			case "%%1872":
			case "%%1875":
				return "Binary Data";
			case "%%1876":
				return TryNumber(value, out number) ? "DWORD (0x" + (number & 0xffffffff).ToString("x8") + ")" : value;
			case "%%1883":
				return TryNumber(value, out number)
					? "QWORD (0x" + (number >> 32 & 0xffffffff).ToString("x8") + "-0x" +
						(number & 0xffffffff).ToString("x8") + ")"
					: value;
			default:
				return value == "" || value == "-" ? "(Empty)" : value;
		}
	}

	private static string Decimal(string number)
	{
		long value;
		return TryNumber(number, out value) ? value.ToString(CultureInfo.InvariantCulture) : number;
	}

	private static bool TryNumber(string text, out long number)
	{
		if (text.StartsWith("0x", StringComparison.OrdinalIgnoreCase))
			return long.TryParse(
				text.Substring(2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out number);
		return long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out number);
	}

	private static string Text(Dictionary<string, object> view, string name)
	{
		object value;
		return view.TryGetValue(name, out value) && value is string ? (string)value : "";
	}

	private static void Put(Dictionary<string, object> view, string name, string value)
	{
		if (value == "")
			view.Remove(name);
		else
			view[name] = value;
	}
}
}
