// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Globalization;
using System.Security.Cryptography;
using System.Text.RegularExpressions;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RegistryJudge
{
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Printable;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Classifier;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.CommandLine;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Model;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RegistryFacts;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RegistryFirstLook;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RegistryKeyReader;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RegistryLocations;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RegistryPattern;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.SecurityDescriptor;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.TaskData;

/// <summary>Says what changes of the registry mean, and what is wrong in it on the first look.</summary>
public sealed class RegistryJudge : IJudge
{

	private const RegexOptions Options = RegexOptions.IgnoreCase | RegexOptions.CultureInvariant;

	private static readonly Regex Provider = new Regex(
		@"\\Authentication\\(?:Credential Providers|Credential Provider Filters|PLAP Providers)\\[^\\]+\z",
		Options);

	// New classes, logs and filters of files that software brings: they replace none.
	private static readonly Regex Additions = new Regex(
		@"^HKLM\\(?:SOFTWARE\\Classes\\(?:WOW6432Node\\)?CLSID\\|SYSTEM\\CurrentControlSet\\Services\\(?:" +
		@"EventLog\\(?!(?:Application|Security|System|Setup|Windows PowerShell)\\)|" +
		@"[^\\]+\\(?<filter>Instances)\\))", Options);

	private readonly RegistryFirstLook _firstLook;
	private readonly RegistryExplanations _explanations;

	private readonly IRegistryFacts _facts;

	/// <summary>
	/// since: when the baseline was taken, in 100 ns since 1601; 0 when that is not known. isRecorded: says whether
	/// the baseline has entries of the hive HKU\SID.
	/// </summary>
	public RegistryJudge(IRegistryFacts facts, long since = 0, Func<string, bool> isRecorded = null)
	{
		_facts = facts;
		_firstLook = new RegistryFirstLook(facts);
		_explanations = new RegistryExplanations(facts, since, isRecorded ?? delegate { return false; });
	}

	public Judgement JudgeEntry(Entry entry, Watch watch)
	{
		return entry.IsRegistry ? _firstLook.Judge(entry) : null;
	}

	public Judgement JudgeChange(Change change, Watch watch)
	{
		if (!change.Current.IsRegistry)
			return null;
		// What is wrong by itself is also wrong when it is new.
		Judgement firstLook = change.After == null ? null : _firstLook.Judge(change.After);
		if (firstLook != null)
		{
			Judgement before = change.Kind == ChangeKinds.Modified ? _firstLook.Judge(change.Before) : null;
			Judgement move = before != null && before.Severity == firstLook.Severity
				? _explanations.Move(change)
				: null;
			Judgement more = Unexplained(change, watch);
			bool isMore = more != null && more.Alert != null &&
				Classifier.Rank(more.Severity) > Classifier.Rank(firstLook.Severity);
			return move ?? (isMore ? more : firstLook);
		}
		return _explanations.Explain(change, watch) ?? Unexplained(change, watch);
	}

	private Judgement Unexplained(Change change, Watch watch)
	{
		Entry current = change.Current;
		if (current.Kind == EntryKinds.Key)
			return Key(change);
		string key = RegistryPattern.ParentOf(current.Path);
		string name = RegistryPattern.NameOf(current.Path);
		RegistryLocation location = RegistryLocations.Find(key, name);
		bool isOfDefence = watch.Category == "defence" && location != null &&
			location.Alert == RegistryLocations.Service;
		if (location == null || isOfDefence)
			return null;
		if (location.Alert == RegistryLocations.Service && Is(name, "Start") && change.Kind == ChangeKinds.Modified)
			return Start(change, location, key);
		Judgement judgement = change.After == null ? Deleted(change, location, key, name) : Written(change, location);
		// What a new service or task runs stays a finding beside that of its key.
		bool isOfKey = location.Alert == RegistryLocations.Service || location.Alert == RegistryLocations.Task;
		bool isRun = change.After != null && (location.IsProgram || location.Severity == "high");
		judgement.IsPart = isOfKey && change.Kind != ChangeKinds.Modified && !isRun;
		return judgement;
	}

	/// <summary>Judge that a service starts otherwise: only 4, disabled, differs much from the rest.</summary>
	private Judgement Start(Change change, RegistryLocation location, string key)
	{
		string before = change.Before.Text("data");
		string now = change.After.Text("data");
		bool isTyped = Array.IndexOf(change.Attributes, "type") >= 0;
		if (!isTyped && (before == "2" || before == "3") && (now == "2" || now == "3"))
			return Judgement.Explain(
				"services", null, "explained by services that start by themselves or on demand");
		if (isTyped || (before != "4" && now != "4"))
			return Written(change, location);
		string program = CommandLine.Parse(
			_facts.Data(key, "ImagePath"), _facts.SystemRoot, _facts.Expand).Program;
		bool isOfWindows = _facts.Signer(program) == "Microsoft Corporation";
		return Judgement.Raise(RegistryLocations.Service, isOfWindows ? "low" : "medium", Printable.ShowPath(key) +
			(now == "4" ? " was disabled" : " was enabled again: it was disabled before"),
			now == "4" ? "T1562.001" : "T1543.003");
	}

	private Judgement Key(Change change)
	{
		string path = change.Current.Shown;
		List<string> before = change.Before == null
			? new List<string>()
			: OrdinaryAccounts.KeyWriters(change.Before.Text("dacl"));
		List<string> writers = change.After == null
			? new List<string>()
			: OrdinaryAccounts.KeyWriters(change.After.Text("dacl"));
		writers.RemoveAll(before.Contains);
		bool isOfMachine = path.StartsWith("HKLM", StringComparison.OrdinalIgnoreCase);
		RegistryLocation location = RegistryLocations.Find(change.Path, null);
		if (isOfMachine && writers.Count > 0)
			return Judgement.Raise(
				location == null ? RegistryFirstLook.Suspicious : location.Alert,
				OrdinaryAccounts.AreMany(writers) ? "high" : "medium",
				path + " can now be changed by " + string.Join(" and ", writers), "T1222.001", "T1112");
		if (change.Kind == ChangeKinds.Created && IsService(change.Path))
		{
			// Adapters of networks have keys there, too; what can be started has a type.
			bool isStartable = _facts.HasValue(change.Path, "Type") != false;
			return Judgement.Raise(RegistryLocations.Service, isStartable ? "medium" : "low", isStartable
				? "the service or driver " + path + " was installed"
				: "the key " + path + " is new among the services, and starts nothing", "T1543.003");
		}
		if (change.Kind == ChangeKinds.Deleted && IsService(change.Path))
			return Judgement.Raise(
				RegistryLocations.Service, "medium", "the service or driver " + path + " was removed", "T1489");
		if (location != null && (change.Kind == ChangeKinds.Created || change.Kind == ChangeKinds.Deleted))
		{
			// Its values are changes of their own; but a credential provider is its key.
			bool isAll = Provider.IsMatch(change.Path) && change.Kind == ChangeKinds.Created;
			Judgement judgement = Judgement.Raise(location.Alert, isAll ? location.Severity : "low",
				"the key " + path + " was " + change.Kind, location.Techniques);
			judgement.IsPart = location.Alert == RegistryLocations.Task;
			return judgement;
		}
		return null;
	}

	private static bool IsService(string path)
	{
		string[] parts = RegistryLocations.Normal(path).Split('\\');
		return parts.Length == 5 && parts[3].Equals("Services", StringComparison.OrdinalIgnoreCase) &&
			parts[2] == "CCS";
	}

	private static Judgement Written(Change change, RegistryLocation location)
	{
		string path = change.Current.Shown;
		string now = change.After.Quoted();
		string sentence;
		if (change.Before == null || change.Before.Kind != EntryKinds.Value)
			sentence = path + " was added with " + now;
		else if (Array.IndexOf(change.Attributes, "content") < 0)
			sentence = path + " was changed (" + string.Join(", ", change.Attributes) + ")";
		else
			sentence = path + " was changed from " + change.Before.Quoted() + " to " + now;
		Match addition = change.Kind == ChangeKinds.Created ? Additions.Match(change.Path) : Match.Empty;
		string severity = !addition.Success ? location.Severity : addition.Groups["filter"].Success ? "medium" : "low";
		return Judgement.Raise(location.Alert, severity, sentence + ": it " + location.Effect, location.Techniques);
	}

	private Judgement Deleted(Change change, RegistryLocation location, string key, string name)
	{
		string path = change.Current.Shown;
		bool isTask = location.Alert == RegistryLocations.Task;
		if (isTask && _facts.HasKey(key) != false && name.Equals("SD", StringComparison.OrdinalIgnoreCase))
		{
			string message = path +
				" was deleted: this hides the task while it still runs";
			return Judgement.Raise(RegistryFirstLook.HiddenTask, "high", message, "T1053.005", "T1564");
		}
		bool defends = location.Alert == RegistryLocations.Defence || location.Alert == RegistryLocations.Authentication;
		string effect = change.Before.Quoted() + " " + location.Effect;
		string severity = defends ? location.Severity : "low";
		return Judgement.Raise(location.Alert, severity, path + " was deleted: before, " + effect, location.Techniques);
	}

	private static bool Is(string text, string other)
	{
		return string.Equals(text, other, StringComparison.OrdinalIgnoreCase);
	}
}

/// <summary>
/// Changes of the registry that an ordinary day brings. What an intruder could bring likewise is only claimed.
/// </summary>
public sealed class RegistryExplanations
{
	// SERVICE_USER_SERVICE (winnt.h): a template, of which each session gets an instance.
	private const int UserService = 0x40;

	// SERVICE_USERSERVICE_INSTANCE
	private const int UserServiceInstance = 0x80;

	private const string Startup = @"AppData\Roaming\Microsoft\Windows\Start Menu\Programs\Startup";
	private const string Profiles = @"HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion\ProfileList\";
	private const string Roots = @"HKLM\SOFTWARE\Microsoft\SystemCertificates\AuthRoot\";
	private const string UpdateTasks = @"\Microsoft\Windows\UpdateOrchestrator\";

	private const RegexOptions Options =
		RegexOptions.IgnoreCase | RegexOptions.CultureInvariant | RegexOptions.Singleline;

	// Accounts of people, services, application pools and virtual machines.
	private static readonly Regex Hive = new Regex(
		@"^(HKU\\S-1-(?:5-(?:21|80|82|83|87)|12-1)-[0-9-]+?)(?:_Classes)?(?=\\|\z)", Options);

	private static readonly Regex Instance = new Regex(
		@"^(HKLM\\SYSTEM\\CurrentControlSet\\Services\\[^\\]+)_[0-9a-f]{3,16}(?=\\|\z)", Options);

	private static readonly Regex ServiceKey = new Regex(
		@"^HKLM\\SYSTEM\\CurrentControlSet\\Services\\[^\\]+", Options);

	private static readonly Regex ScanDriver = new Regex(@"\\MpKsl[0-9a-f]{8}\z", Options);

	private static readonly Regex ScanDriverFile = new Regex(
		@"\\Definition Updates\\\{[^\\]+\}\\MpKsl[^\\]*\.sys\z", Options);

	private static readonly Regex StartupFolder = new Regex(
		@"\\Explorer\\(?:User )?Shell Folders\\Startup\z", Options);

	private static readonly Regex RunOnce = new Regex(@"\\CurrentVersion\\RunOnce\\[^\\]+\z", Options);
	private static readonly Regex HiveList = new Regex(@"\\Control\\hivelist\\[^\\]+\z", Options);
	private static readonly Regex Volume = new Regex(@"\\Device\\HarddiskVolume\d+\\", Options);

	private static readonly Regex SearchPath = new Regex(
		@"\\Session Manager\\Environment\\(?:Path|PSModulePath)\z", Options);

	// Providers that updates add are on.
	private static readonly Regex LogProvider = new Regex(
		@"\\(?:WMI\\Autologger\\[^\\]+\\[^\\]+|WINEVT\\Channels\\[^\\]+)\\Enabled\z", Options);

	// The rest of an update of Windows runs at the next start.
	private static readonly Regex PendingUpdate = new Regex(
		@"^(?:\\SystemRoot|[a-z]:\\Windows)\\System32\\poqexec\.exe(?: /\w+)* \\SystemRoot\\WinSxS\\pending\.xml\z",
		Options);

	private static readonly Regex UpdateProgram = new Regex(
		@"^%systemroot%\\system32\\(?:usoclient|musnotification|mousocoreworker)\.exe(?: [\w ]*)?\z", Options);

	// What an update of OneDrive leaves to clean up, in the profile of the account.
	private static readonly Regex OneDriveCleaning = new Regex(
		@"^[a-z]:\\windows\\system32\\cmd\.exe /q /c (?:del /q|rmdir /s /q) ""(.+?)" +
		@"\\AppData\\Local\\Microsoft\\OneDrive\\[\w .\\-]+""\z", Options);

	private static readonly Regex Version = new Regex(
		@"(?<=\\)(?:(?:[a-z]+_)?\d+(?:\.\d+){1,3}|[\w.-]+\.inf_(?:amd64|x86|arm64)_[0-9a-f]{16})(?=\\)", Options);

	private static readonly Regex MachineClass = new Regex(
		@"^HKLM\\SOFTWARE\\Classes\\(?:WOW6432Node\\)?CLSID\\", Options);

	private readonly IRegistryFacts _facts;
	private readonly long _since;
	private readonly Func<string, bool> _isRecorded;

	/// <summary>
	/// since: when the baseline was taken, in 100 ns since 1601; 0 when that is not known. isRecorded: says whether
	/// the baseline has entries of the hive HKU\SID.
	/// </summary>
	public RegistryExplanations(IRegistryFacts facts, long since, Func<string, bool> isRecorded)
	{
		_facts = facts;
		_since = since;
		_isRecorded = isRecorded;
	}

	/// <summary>Return what explains a change, null when nothing does.</summary>
	public Judgement Explain(Change change, Watch watch)
	{
		bool isValue = change.Current.Kind == EntryKinds.Value;
		return Session(change) ?? SessionService(change) ?? Defender(change) ?? OfAccount(change, watch) ??
			UpdateTask(change) ?? Root(change) ?? (isValue ? OfValue(change) : null);
	}

	/// <summary>
	/// The hive of an account comes with its sign-in. What was in it before the baseline was taken, by the time of
	/// the last write of the key, is only claimed to be no change: an account can set this time in its own hive.
	/// What a baseline has of a hive was read from it, so that nothing in it is claimed.
	/// </summary>
	private Judgement Session(Change change)
	{
		Match match = Hive.Match(change.Path);
		if (!match.Success || change.Kind != ChangeKinds.Created || _since <= 0)
			return null;
		string hive = match.Groups[1].Value;
		string key = change.After.Kind == EntryKinds.Key ? change.Path : RegistryPattern.ParentOf(change.Path);
		// Windows makes this key anew at each sign-in.
		long? signIn = _facts.LastWrite(hive + @"\Volatile Environment");
		bool isOlder = signIn > _since && _facts.LastWrite(key) <= _since && !_isRecorded(hive);
		return isOlder ? Claim("sign-ins of accounts") : null;
	}

	/// <summary>What the first sign-in of an account makes, and can harm nobody as it is.</summary>
	private Judgement OfAccount(Change change, Watch watch)
	{
		Match match = Hive.Match(change.Path);
		if (!match.Success || change.Kind != ChangeKinds.Created)
			return null;
		if (change.After.Kind == EntryKinds.Key)
		{
			bool isKnown = watch.Alert != null && RegistryLocations.Knows(change.Path);
			return !isKnown || change.After.Text("link") != null ? null : Judgement.Explain(
				"accounts that signed in", null, "a key starts nothing; its values are changes of their own");
		}
		string data = Data(change.After);
		string profile = _facts.Data(Profiles + match.Groups[1].Value.Substring(4), "ProfileImagePath");
		profile = profile == null ? null : _facts.Expand(Printable.ParsePath(profile));
		if (profile == null)
			return null;
		bool isUsual = StartupFolder.IsMatch(change.Path) &&
			(Is(data, profile + "\\" + Startup) || Is(data, @"%USERPROFILE%\" + Startup));
		Match cleaning = RunOnce.IsMatch(change.Path) ? OneDriveCleaning.Match(data) : Match.Empty;
		bool isBelow = data.IndexOf("..", StringComparison.Ordinal) < 0;
		if (cleaning.Success && isBelow && Is(cleaning.Groups[1].Value, profile))
			return Judgement.Explain("updates of OneDrive", null, "explained by what updates of OneDrive clean up");
		return !isUsual ? null : Judgement.Explain(
			"accounts that signed in", null, "explained by the default of each new account");
	}

	/// <summary>Of a service of each session, an instance explains what its template has likewise.</summary>
	private Judgement SessionService(Change change)
	{
		Match match = Instance.Match(change.Path);
		if (!match.Success || (change.Kind == ChangeKinds.Modified && change.After.Kind == EntryKinds.Key))
			return null;
		string template = match.Groups[1].Value;
		int type;
		bool isTemplate = int.TryParse(
			_facts.Data(template, "Type"), NumberStyles.None, CultureInfo.InvariantCulture, out type) &&
			(type & UserService) != 0;
		if (!isTemplate || (change.After != null && !IsOfTemplate(change.After, match, type)))
			return null;
		string name = RegistryPattern.NameOf(template);
		return Judgement.Explain("service " + name + " of each session", null,
			"explained by the service " + name + ", of which each session gets an instance");
	}

	private bool IsOfTemplate(Entry entry, Match instance, int type)
	{
		string path = instance.Groups[1].Value + entry.Path.Substring(instance.Length);
		if (entry.Kind == EntryKinds.Key)
			return _facts.HasKey(path) == true;
		string name = RegistryPattern.ValueName(RegistryPattern.NameOf(path));
		if (name.Equals("Type", StringComparison.OrdinalIgnoreCase) && entry.Path.Length == instance.Length + 5)
			return entry.Text("data") == (type | UserServiceInstance).ToString(CultureInfo.InvariantCulture);
		byte[] data = _facts.Bytes(RegistryPattern.ParentOf(path), name);
		using (SHA256 sha256 = SHA256.Create())
			return data != null && Is(entry.Text("sha256"), Hex(sha256.ComputeHash(data)));
	}

	/// <summary>
	/// Defender installs a driver with each update of its definitions and moves its services with each update of
	/// its platform, into directories where only it may write. Whoever administrates the host can do it likewise.
	/// Nothing else of these services is claimed, and that such a driver goes changes nothing.
	/// </summary>
	private Judgement Defender(Change change)
	{
		Match match = ServiceKey.Match(change.Path);
		if (!match.Success)
			return null;
		if (change.Kind == ChangeKinds.Deleted && ScanDriver.IsMatch(match.Value))
			return Judgement.Explain("updates of Defender", null, "explained by a driver that Defender removed");
		bool isValue = change.Current.Kind == EntryKinds.Value;
		string name = isValue ? RegistryPattern.NameOf(change.Path) : "";
		bool isMoved = Is(name, "ImagePath") && change.After != null;
		bool isInstalled = change.Kind == ChangeKinds.Created &&
			(!isValue || (Is(name, "Type") && change.After.Text("data") == "1") ||
			(Is(name, "Start") && ScanDriver.IsMatch(match.Value)));
		bool isDirect = (isValue ? RegistryPattern.ParentOf(change.Path) : change.Path).Length == match.Length;
		if (!isDirect || !(isInstalled || isMoved))
			return null;
		CommandLine command = CommandLine.Parse(
			_facts.Data(match.Value, "ImagePath"), _facts.SystemRoot, _facts.Expand);
		string program = command.Program;
		string defender = _facts.Expand(@"%ProgramData%\Microsoft\Windows Defender\");
		if (!program.StartsWith(defender, StringComparison.OrdinalIgnoreCase) || command.HasShortName)
			return null;
		// The file of a driver is gone once it is loaded.
		bool isGone = ScanDriver.IsMatch(match.Value) && ScanDriverFile.IsMatch(program) &&
			_facts.FileExists(program) == false;
		bool isSafe = IsSafe(RegistryPattern.ParentOf(program)) && (isGone || IsSafe(program));
		return isSafe && (isGone || _facts.Signer(program) == "Microsoft Corporation")
			? Claim("updates of Defender")
			: null;
	}

	// Only what they run decides: another command below the update service's name is none of its tasks.
	private Judgement UpdateTask(Change change)
	{
		int cache = change.Path.IndexOf(@"\Schedule\TaskCache\", StringComparison.OrdinalIgnoreCase);
		if (cache < 0 || change.After == null)
			return null;
		string[] names = change.Path.Substring(cache + 20).Split('\\');
		string root = change.Path.Substring(0, cache + 20);
		string id = names.Length > 1 && Is(names[0], "Tasks") ? names[1] : null;
		if (Is(names[0], "Tree"))
		{
			bool isValue = change.After.Kind == EntryKinds.Value;
			id = _facts.Data(isValue ? RegistryPattern.ParentOf(change.Path) : change.Path, "Id");
		}
		string task = id == null ? null : root + @"Tasks\" + id;
		string path = task == null ? null : _facts.Data(task, "Path");
		byte[] data = path == null || !path.StartsWith(UpdateTasks, StringComparison.OrdinalIgnoreCase)
			? null
			: _facts.Bytes(task, "Actions");
		string actions = data == null ? null : TaskData.Actions(data, RegistryData.Separator);
		if (actions == null || change.After.Text("link") != null || change.Kind != ChangeKinds.Created)
			return null;
		bool isUpdate = Array.TrueForAll(
			actions.Split(new[] { RegistryData.Separator }, StringSplitOptions.None), UpdateProgram.IsMatch);
		return isUpdate ? Claim("tasks of the update service") : null;
	}

	/// <summary>Windows adds a root when it needs it, from a list that Microsoft signs.</summary>
	private Judgement Root(Change change)
	{
		const string prefix = Roots + @"Certificates\";
		if (change.After == null || !change.Path.StartsWith(prefix, StringComparison.OrdinalIgnoreCase))
			return null;
		string name = change.Path.Substring(prefix.Length).Split('\\')[0];
		byte[] blob = _facts.Bytes(prefix + name, "Blob");
		byte[] list = _facts.Bytes(Roots + "AutoUpdate", "EncodedCtl");
		// Property, 1, length and data, each number of 4 bytes; CERT_CERT_PROP_ID is the certificate.
		for (int position = 0; blob != null && list != null && position + 12 <= blob.Length;)
		{
			int length = BitConverter.ToInt32(blob, position + 8);
			if (length < 0 || length > blob.Length - position - 12)
				return null;
			if (BitConverter.ToInt32(blob, position) == 32)
			{
				using (SHA1 sha1 = SHA1.Create())
				{
					string thumbprint = Hex(sha1.ComputeHash(blob, position + 12, length));
					bool isListed = Is(name, thumbprint) && Hex(list).Contains("0414" + thumbprint);
					return isListed ? Claim("list of roots that Microsoft distributes") : null;
				}
			}
			position += 12 + length;
		}
		return null;
	}

	private Judgement OfValue(Change change)
	{
		string now = Data(change.After);
		string before = Data(change.Before);
		bool isModified = change.Kind == ChangeKinds.Modified;
		if (HiveList.IsMatch(change.Path) && isModified && Is(Volume.Replace(before, ""), Volume.Replace(now, "")))
			return Judgement.Explain("numbers of volumes", null, "explained by another number of the same volume");
		if (Is(RegistryPattern.NameOf(change.Path), "SetupExecute") && PendingUpdate.IsMatch(now))
			return Claim("update of Windows that ends with the next start");
		if (LogProvider.IsMatch(change.Path) && change.Kind == ChangeKinds.Created && now == "1")
			return Judgement.Explain("new log providers", null, "explained by a provider that is new and on");
		if (isModified && change.Path.StartsWith("HKLM", StringComparison.Ordinal) &&
			SearchPath.IsMatch(change.Path) && IsExtended(before, now))
			return Judgement.Explain("search paths", null,
				"explained by directories behind those of Windows that only administrators write");
		if (change.Kind == ChangeKinds.Created && MachineClass.IsMatch(change.Path))
			return Signed(now, true);
		return isModified ? Move(change) : null;
	}

	/// <summary>
	/// Claim that a program went to the directory of its next version: all else of the command is the same, and
	/// its signature holds.
	/// </summary>
	public Judgement Move(Change change)
	{
		RegistryLocation location = change.Kind == ChangeKinds.Modified && change.After.Kind == EntryKinds.Value
			? RegistryLocations.Find(RegistryPattern.ParentOf(change.Path), RegistryPattern.NameOf(change.Path))
			: null;
		string now = Data(change.After);
		string before = Data(change.Before);
		string program = Parse(now).Program;
		string name = RegistryPattern.NameOf(program);
		// -1 where the name comes from a variable.
		int end = now.IndexOf(name, StringComparison.OrdinalIgnoreCase);
		int old = before.IndexOf(name, StringComparison.OrdinalIgnoreCase);
		bool isMove = location != null && location.IsProgram && name.Length > 0 && end >= 0 && old >= 0 &&
			Array.IndexOf(change.Attributes, "type") < 0 &&
			now.Substring(end + name.Length) == before.Substring(old + name.Length) &&
			Version.Replace(now, "*") == Version.Replace(before, "*");
		return isMove ? Signed(now, change.Path.StartsWith("HKLM", StringComparison.Ordinal)) : null;
	}

	private Judgement Signed(string command, bool isOfMachine)
	{
		CommandLine parsed = Parse(command);
		// Classes name libraries of Windows without a directory.
		bool isBare = isOfMachine && parsed.Program.Length > 0 && parsed.Program.IndexOf('\\') < 0;
		string program = (isBare ? _facts.SystemRoot + @"\System32\" : "") + parsed.Program;
		string severity;
		bool isSafe = !parsed.HasShortName && parsed.Suspicion(out severity) == null &&
			(!isOfMachine || (IsSafe(program) && IsSafe(RegistryPattern.ParentOf(program))));
		string signer = isSafe ? _facts.Signer(program) : null;
		return signer == null ? null : Claim("software that " + Printable.Show(signer) + " signed");
	}

	private bool IsExtended(string before, string now)
	{
		List<string> old = Directories(before);
		List<string> present = Directories(now);
		string system = _facts.SystemRoot + @"\System32";
		Predicate<string> isOfWindows = delegate(string directory)
		{
			return directory.StartsWith(system, StringComparison.OrdinalIgnoreCase);
		};
		int first = present.FindIndex(isOfWindows);
		return first >= 0 && present.TrueForAll(delegate(string directory)
		{
			bool isBehind = present.IndexOf(directory) >= first;
			int position = old.IndexOf(directory);
			bool wasThere = position >= 0 && (isBehind || position < old.FindIndex(isOfWindows));
			return wasThere || (isBehind && IsSafe(directory));
		});
	}

	private List<string> Directories(string text)
	{
		List<string> directories = new List<string>();
		foreach (string part in text.Split(';'))
		{
			if (part.Trim().Length > 0)
				directories.Add(_facts.Expand(part.Trim().Trim('"')).TrimEnd('\\').ToUpperInvariant());
		}
		return directories;
	}

	private CommandLine Parse(string command)
	{
		return CommandLine.Parse(command, _facts.SystemRoot, _facts.Expand);
	}

	private bool IsSafe(string path)
	{
		IList<string> writers = _facts.Writers(path.Length == 2 ? path + "\\" : path);
		return writers != null && writers.Count == 0;
	}

	private static string Data(Entry entry)
	{
		string data = entry == null ? null : entry.Text("data");
		return data == null ? "" : Printable.ParsePath(data);
	}

	private static string Hex(byte[] data)
	{
		return BitConverter.ToString(data).Replace("-", "");
	}

	private static bool Is(string text, string other)
	{
		return string.Equals(text, other, StringComparison.OrdinalIgnoreCase);
	}

	private static Judgement Claim(string by)
	{
		Judgement claim = Judgement.Explain(by, null, "claimed to come with " + by);
		claim.Claimed = true;
		return claim;
	}
}
}
