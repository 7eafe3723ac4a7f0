// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Text.RegularExpressions;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RegistryFirstLook
{
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Printable;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.CommandLine;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Model;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RegistryFacts;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RegistryKeyReader;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RegistryLocations;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RegistryPattern;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.SecurityDescriptor;

/// <summary>Says of keys and values what is wrong whether or not they changed.</summary>
public sealed class RegistryFirstLook
{
	public const string Suspicious = "suspicious_registry_entry";
	public const string Hidden = "hidden_registry_entry";
	public const string HiddenTask = "hidden_scheduled_task";
	public const string Hijackable = "hijackable_service";

	private const string Cache = @"\Schedule\TaskCache\";
	private const string Tree = Cache + @"Tree\";
	private const string Tasks = Cache + @"Tasks\";

	private const RegexOptions Options =
		RegexOptions.IgnoreCase | RegexOptions.CultureInvariant | RegexOptions.Singleline;

	// T1546.008: what the sign-in screen starts as SYSTEM for whoever sits there.
	private static readonly Regex AccessibilityTool = new Regex(
		@"\\(?:Image File Execution Options|SilentProcessExit)\\" +
		@"(?:sethc|utilman|osk|magnify|narrator|displayswitch|atbroker)\.exe(?:\\[^\\]+)?\z", Options);

	private static readonly Regex Winlogon = new Regex(@"\\Windows NT\\CurrentVersion\\Winlogon\z", Options);
	private static readonly Regex ServiceKey = new Regex(@"^HKLM\\SYSTEM\\CCS\\Services\\[^\\]+\z", Options);

	private static readonly Regex ServiceOrParameters = new Regex(
		@"^HKLM\\SYSTEM\\CCS\\Services\\[^\\]+(?:\\Parameters)?\z", Options);

	private const string Interpreters = "cmd|powershell|pwsh|rundll32|regsvr32|wscript|cscript|mshta|msbuild";

	// Drives, what accounts write to, kinds of programs and scripts, and programs that run others' code.
	private static readonly Regex WideExclusion = new Regex(
		@"^(?:[a-z]:\\?|[a-z]:\\(?:windows|programdata)\\?|[a-z]:\\(?:users|temp)(?:\\[^\\]+){0,1}\\?|" +
		@"[a-z]:\\users\\[^\\]+\\(?:appdata(?:\\[^\\]+(?:\\temp)?)?|downloads)\\?|" +
		@"%(?:temp|tmp|(?:local)?appdata|userprofile|public|programdata|systemroot|windir|systemdrive)%\\?|\*+|" +
		@"\.?(?:exe|dll|com|scr|sys|cpl|msi|bat|cmd|ps1|psm1|js|jse|vbs|vbe|wsf|hta|lnk|tmp)|" +
		@"(?:.*\\)?(?:" + Interpreters + @")\.exe)\z", Options);

	// What other software puts there, ordinary accounts may not write.
	private static readonly Regex SystemDirectory = new Regex(@"^[a-z]:\\(?:windows|programdata)\\", Options);

	// What Windows and its own features put there; anything else is a library of that name in System32.
	private static readonly HashSet<string> Packages = new HashSet<string>(StringComparer.OrdinalIgnoreCase)
	{
		"", "\"\"", "msv1_0", "kerberos", "schannel", "wdigest", "tspkg", "pku2u", "cloudap", "livessp", "negoexts",
		"scecli", "rassfm", "SshdPinAuthLsa"
	};

	private static readonly Regex PackageKey = new Regex(@"\\Control\\Lsa(?:\\OSConfig)?\z", Options);
	private static readonly Regex NoLog = new Regex(@"^HKLM\\SYSTEM\\CCS\\Control\\MiniNt\z", Options);

	private readonly IRegistryFacts _facts;

	public RegistryFirstLook(IRegistryFacts facts)
	{
		_facts = facts;
	}

	/// <summary>Return what is wrong with an entry, null when nothing is known to be.</summary>
	public Judgement Judge(Entry entry)
	{
		if (entry.Kind == EntryKinds.Key)
			return Name(entry) ?? Key(entry);
		if (entry.Kind != EntryKinds.Value)
			return null;
		string key = RegistryPattern.ParentOf(entry.Path);
		string name = RegistryPattern.NameOf(entry.Path);
		return Name(entry) ?? TaskValue(entry, key, name) ?? Program(entry, key, name);
	}

	// Win32 programs cut names at NUL, and most cannot show half a surrogate pair: T1564, T1112.
	private static Judgement Name(Entry entry)
	{
		string name = RegistryPattern.NameOf(entry.Path);
		bool isHidden = name.IndexOf('\0') >= 0;
		for (int index = 0; index < name.Length && !isHidden; index++)
		{
			if (index + 1 < name.Length && char.IsSurrogatePair(name[index], name[index + 1]))
				index++;
			else
				isHidden = char.IsSurrogate(name[index]);
		}
		if (!isHidden)
			return null;
		return Judgement.Raise(Hidden, "high", entry.Shown +
			" has a name that the registry editor and most programs cannot open", "T1564", "T1112");
	}

	private Judgement Key(Entry entry)
	{
		string link = entry.Text("link");
		if (link != null && !RegistryLinks.IsKnown(entry.Path, Printable.ParsePath(link)))
			return Judgement.Raise(Suspicious, "high", entry.Shown +
				" is a symbolic link to " + link + ": programs that read the key get another one", "T1112");
		if (NoLog.IsMatch(RegistryLocations.Normal(entry.Path)))
			return Judgement.Raise(RegistryLocations.Defence, "high", entry.Shown +
				" exists: Windows takes itself for an installer and logs no security events", "T1562.002");
		if (ServiceKey.IsMatch(RegistryLocations.Normal(entry.Path)))
		{
			List<string> writers = OrdinaryAccounts.KeyWriters(entry.Text("dacl"));
			if (writers.Count > 0)
				return Judgement.Raise(Hijackable, Severity(writers), entry.Shown +
					" can be changed by " + Join(writers) + ", who can so run programs as the service",
					"T1574.011");
		}
		return null;
	}

	private Judgement TaskValue(Entry entry, string key, string name)
	{
		if (!Is(name, "Id") && !Is(name, "Index") && !Is(name, "Path"))
			return null;
		int tree = key.IndexOf(Tree, StringComparison.OrdinalIgnoreCase);
		if (tree >= 0 && Is(name, "Id"))
			return TreeTask(key, key.Substring(tree + Tree.Length));
		if (tree >= 0 && Is(name, "Index") && entry.Text("data") == "0")
			return Judgement.Raise(HiddenTask, "high", "the scheduled task " +
				Shown(key.Substring(tree + Tree.Length)) +
				" is hidden: its Index in the task cache is 0", "T1053.005", "T1564");
		int tasks = key.IndexOf(Tasks, StringComparison.OrdinalIgnoreCase);
		string path = tasks >= 0 && Is(name, "Path") ? entry.Text("data") : null;
		if (path == null || !path.StartsWith("\\", StringComparison.Ordinal))
			return null;
		string node = key.Substring(0, tasks) + Tree.TrimEnd('\\') + Printable.ParsePath(path);
		if (_facts.HasKey(node) != false)
			return null;
		// The scheduler takes its tasks from these; what is in none is left of an old Windows.
		string id = key.Substring(tasks + Tasks.Length);
		bool isRun = Array.Exists(new[] { "Boot", "Logon", "Plain", "Maintenance" }, delegate(string list)
		{
			return _facts.HasKey(key.Substring(0, tasks) + Cache + list + "\\" + id) != false;
		});
		return Judgement.Raise(HiddenTask, isRun ? "high" : "low", "the scheduled task " + path +
			" is hidden: it is in the task cache and not in its tree" +
			(isRun ? "" : ", nor in a list of tasks that run"), "T1053.005", "T1564");
	}

	// The task scheduler does not list a task whose SD value is gone, and runs it all the same (Tarrask, 2022).
	private Judgement TreeTask(string key, string task)
	{
		if (_facts.HasValue(key, "SD") == false)
			return Judgement.Raise(HiddenTask, "critical", "the scheduled task " + Shown(task) +
				" is hidden: its security descriptor (SD) in the task cache was removed", "T1053.005", "T1564");
		if (_facts.FileExists(_facts.SystemRoot + @"\System32\Tasks\" + task) == false)
			return Judgement.Raise(HiddenTask, "medium", "the scheduled task " + Shown(task) +
				" has no file below System32\\Tasks: somebody deleted it, and the task runs all the same",
				"T1053.005", "T1070");
		return null;
	}

	private Judgement Program(Entry entry, string key, string name)
	{
		string data = entry.Text("data");
		RegistryLocation location = data == "" ? null : RegistryLocations.Find(key, name);
		if (location == null)
			return null;
		string type = entry.Text("type");
		if (data == null)
		{
			bool isLong = entry.Number("size") > RegistryData.LongestText && location.IsProgram
				&& (type == "REG_SZ" || type == "REG_EXPAND_SZ" || location.Alert == RegistryLocations.Task);
			if (!isLong && location.IsProgram && location.Alert == RegistryLocations.Task)
				return Judgement.Raise(Suspicious, "low", entry.Shown +
					" is not of a form that is known, so that what the task runs is not checked", "T1053.005");
			return !isLong ? null : Judgement.Raise(Suspicious, "high", entry.Shown + " has " +
				entry.Number("size") + " bytes, which " + location.Effect + ": no command is so long, and what it " +
				"starts is hidden in it", location.Techniques);
		}
		string text = Printable.ParsePath(data);
		if (location.Alert == RegistryLocations.Defence)
			return Exclusion(entry, key, name);
		if (location.Alert == RegistryLocations.Authentication)
		{
			Judgement authentication = Authentication(entry, key, name, text);
			if (authentication != null)
				return authentication;
		}
		bool isTask = location.Alert == RegistryLocations.Task;
		bool isText = type == "REG_SZ" || type == "REG_EXPAND_SZ" || type == "REG_MULTI_SZ" || isTask;
		if (!location.IsProgram || !isText)
			return null;
		Judgement special = Special(entry, key, name, text);
		if (special != null)
			return special;
		foreach (string part in text.Split(new[] { RegistryData.Separator }, StringSplitOptions.None))
		{
			string severity;
			CommandLine command = Parse(isTask ? ClassOf(part) ?? part : part);
			string suspicion = command.Suspicion(out severity);
			bool isStarted = location.Alert == RegistryLocations.Service || location.Alert == RegistryLocations.RunKey;
			if (suspicion == null && isStarted && command.HasShortName)
			{
				severity = "low";
				suspicion = "its path is written in short names, so that where it lies is not checked";
			}
			if (suspicion != null)
				return Judgement.Raise(Suspicious, severity, entry.Shown + " names '" +
					Shorten(data) + "', which " + location.Effect + ", and " + suspicion, location.Techniques);
		}
		return null;
	}

	// The library of the COM class that a task runs, as {CLASS} DATA names it.
	private string ClassOf(string action)
	{
		int end = action.StartsWith("{", StringComparison.Ordinal) ? action.IndexOf('}') + 1 : 0;
		return end == 0 ? null : _facts.Data(
			@"HKLM\SOFTWARE\Classes\CLSID\" + action.Substring(0, end) + @"\InprocServer32", "");
	}

	private static Judgement Authentication(Entry entry, string key, string name, string data)
	{
		if (Is(name, "UseLogonCredential") && data == "1")
			return Raise(entry, "medium", "keeps passwords readable in the memory of lsass.exe", "T1003.001",
				"T1112");
		if (Is(name, "DisableRestrictedAdmin") && data == "0")
			return Raise(entry, "medium", "lets the digest of a password sign in through Remote Desktop",
				"T1550.002", "T1112");
		if (!PackageKey.IsMatch(key) || !name.EndsWith(" Packages", StringComparison.OrdinalIgnoreCase))
			return null;
		string unknown = Array.Find(
			data.Split(new[] { RegistryData.Separator }, StringSplitOptions.None),
			delegate(string package) { return !Packages.Contains(package.Trim()); });
		return unknown == null ? null : Judgement.Raise(Suspicious, "medium", entry.Shown +
			" names '" + Printable.ShowPath(unknown) + "', which Windows does not bring: it is loaded into " +
			"lsass.exe, where it sees passwords", "T1547.005", "T1547.002", "T1556.002");
	}

	private Judgement Special(Entry entry, string key, string name, string data)
	{
		if (AccessibilityTool.IsMatch(key) && (Is(name, "Debugger") || Is(name, "MonitorProcess")))
			return Raise(entry, "critical", "is run as SYSTEM from the sign-in screen, without signing in",
				"T1546.008", "T1546.012");
		if (Winlogon.IsMatch(key) && Is(name, "Shell") && !IsUsualShell(data))
			return Raise(entry, "high", "is started at each sign-in instead of or beside explorer.exe",
				"T1547.004");
		if (Winlogon.IsMatch(key) && Is(name, "Userinit") && !IsOnly(data, "userinit.exe"))
			return Raise(entry, "high", "is started at each sign-in instead of or beside userinit.exe",
				"T1547.004");
		if (Is(name, "AppInit_DLLs") && _facts.Data(key, "LoadAppInit_DLLs") == "1")
			return Raise(entry, "high", "is loaded into every program that has windows", "T1546.010");
		if (key.EndsWith(@"\Session Manager\AppCertDlls", StringComparison.OrdinalIgnoreCase))
			return Raise(entry, "high", "is loaded into every program that starts another, and hardly any " +
				"software uses it", "T1546.009");
		if (Is(name, "BootExecute") && !IsUsualBoot(data))
			return Raise(entry, "high", "is run before anybody can sign in", "T1547.001");
		bool isProgram = Is(name, "ImagePath") || Is(name, "ServiceDll");
		if (isProgram && ServiceOrParameters.IsMatch(RegistryLocations.Normal(key)))
			return Service(entry, key, data);
		return UserClass(entry, key, name, data);
	}

	private Judgement Service(Entry entry, string key, string data)
	{
		CommandLine command = Parse(data);
		if (command.IsInProfile)
			return Judgement.Raise(Suspicious, "high", entry.Shown + " is '" + Shorten(data) +
				"': the program of a service lies in the profile of an account", "T1543.003");
		List<string> writers = Groups(command.Program);
		if (writers.Count > 0)
			return Judgement.Raise(Hijackable, Severity(writers), entry.Shown + " is '" +
				Shorten(data) + "': " + Join(writers) + " can replace this program of a service", "T1574.010");
		// The kernel takes the path of a driver as it is.
		string type = _facts.Data(key, "Type");
		bool isDriver = type == "1" || type == "2" || type == "8";
		foreach (string program in isDriver ? new string[0] : command.Hijacks())
		{
			string directory = RegistryPattern.ParentOf(program);
			writers = Groups(directory.Length == 2 ? directory + "\\" : directory);
			bool exists = _facts.FileExists(program) == true;
			if (exists || writers.Count > 0)
			{
				string message = entry.Shown + " is '" + Shorten(data) +
					"' without quotation marks: Windows runs " + Printable.ShowPath(program) + " instead, which " +
					(exists ? "exists" : Join(writers) + " can create");
				return Judgement.Raise(Hijackable, exists ? "high" : Severity(writers), message, "T1574.009");
			}
		}
		return null;
	}

	// A class of the account wins over the machine's, so that programs of the account load another library.
	private Judgement UserClass(Entry entry, string key, string name, string data)
	{
		string normal = RegistryLocations.Normal(key);
		const string classes = @"USER_CLASSES\CLSID\";
		const string own = @"USER\SOFTWARE\Classes\CLSID\";
		string prefix = normal.StartsWith(classes, StringComparison.OrdinalIgnoreCase) ? classes : own;
		bool isClass = normal.StartsWith(prefix, StringComparison.OrdinalIgnoreCase);
		if (!isClass || !Is(name, RegistryPattern.DefaultValue))
			return null;
		bool isEmulated = key.IndexOf(@"\WOW6432Node\", StringComparison.OrdinalIgnoreCase) >= 0;
		string machineKey = @"HKLM\SOFTWARE\Classes\" + (isEmulated ? @"WOW6432Node\CLSID\" : @"CLSID\");
		string rest = normal.Substring(prefix.Length);
		string machine = _facts.Data(machineKey + rest, "");
		if (machine == null && _facts.HasKey(machineKey + rest.Split('\\')[0]) == true)
			return Raise(entry, "high", "is loaded in this account instead of the machine's class", "T1546.015");
		if (machine == null || Is(machine, data))
			return null;
		return Raise(entry, "high", "is loaded in this account instead of the machine's '" + Shorten(machine) + "'",
			"T1546.015");
	}

	private Judgement Exclusion(Entry entry, string key, string name)
	{
		string excluded = RegistryPattern.ValueName(name);
		if (key.IndexOf(@"\Exclusions\", StringComparison.OrdinalIgnoreCase) < 0)
			return null;
		bool isWide = WideExclusion.IsMatch(excluded);
		if (!isWide && SystemDirectory.IsMatch(excluded))
			isWide = Groups(excluded).Count > 0;
		return !isWide ? null : Judgement.Raise(Suspicious, "medium", entry.Shown +
			" excludes so much from Defender's examination that programs of attackers fit in", "T1562.001");
	}

	// Server Core has its own shell, which an administrator sets.
	private bool IsUsualShell(string data)
	{
		return IsOnly(data, "explorer.exe") || _facts.Data(
			@"HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion", "InstallationType") == "Server Core";
	}

	private bool IsOnly(string data, string program)
	{
		foreach (string part in data.Split(','))
		{
			string path = _facts.Expand(part.Trim().Trim('"'));
			bool isUsual = path.Length == 0 || Is(path, program) || Is(path, _facts.SystemRoot + "\\" + program) ||
				Is(path, _facts.SystemRoot + @"\System32\" + program);
			if (!isUsual)
				return false;
		}
		return true;
	}

	private static bool IsUsualBoot(string data)
	{
		foreach (string part in data.Split(new[] { RegistryData.Separator }, StringSplitOptions.RemoveEmptyEntries))
		{
			if (!part.StartsWith("autocheck autochk ", StringComparison.OrdinalIgnoreCase))
				return false;
		}
		return true;
	}

	private static Judgement Raise(Entry entry, string severity, string effect, params string[] techniques)
	{
		return Judgement.Raise(Suspicious, severity, entry.Shown + " is '" +
			Shorten(entry.Text("data")) + "', which " + effect, techniques);
	}

	private CommandLine Parse(string command)
	{
		return CommandLine.Parse(command, _facts.SystemRoot, _facts.Expand);
	}

	// Not single accounts: whoever installed a program often owns its files, and is an administrator.
	private List<string> Groups(string path)
	{
		List<string> writers = new List<string>(_facts.Writers(path) ?? new string[0]);
		writers.RemoveAll(OrdinaryAccounts.IsAccount);
		return writers;
	}

	private static string Severity(ICollection<string> writers)
	{
		return OrdinaryAccounts.AreMany(writers) ? "high" : "medium";
	}

	private static string Shown(string task)
	{
		return "\\" + Printable.ShowPath(task);
	}

	private static string Shorten(string text)
	{
		return text.Length <= 200 ? text : text.Substring(0, 200) + "...";
	}

	private static string Join(IEnumerable<string> names)
	{
		return string.Join(" and ", names);
	}

	private static bool Is(string text, string other)
	{
		return string.Equals(text, other, StringComparison.OrdinalIgnoreCase);
	}
}
}
