// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Text.RegularExpressions;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RegistryLocations
{
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Model;

/// <summary>What Windows does with the values of some keys, and so what a change of them means.</summary>
public sealed class RegistryLocation
{
	/// <summary>An id of the catalogue.</summary>
	public readonly string Alert;

	/// <summary>Of a value that is added or changed.</summary>
	public readonly string Severity;

	/// <summary>ATT&amp;CK ids.</summary>
	public readonly string[] Techniques;

	/// <summary>What Windows does with it: the end of a sentence that begins with the value.</summary>
	public readonly string Effect;

	/// <summary>The data names a program or library.</summary>
	public readonly bool IsProgram;

	internal const RegexOptions Options =
		RegexOptions.IgnoreCase | RegexOptions.CultureInvariant | RegexOptions.Singleline;

	// Letters, digits and blanks that stand for themselves, and backslashes.
	private static readonly Regex Literal = new Regex(
		@"\G(?:[A-Za-z0-9 ](?![*+?{])|\\\\)*", RegexOptions.CultureInvariant);

	private readonly string _pattern;
	private Regex _key;

	// What the key has to begin with, as most keys of a host do not: much cheaper than an expression.
	private readonly string[] _beginnings;
	private readonly string[] _values;

	internal RegistryLocation(
		string alert, string severity, string techniques, string key, string values, bool isProgram, string effect)
	{
		Alert = alert;
		Severity = severity;
		Techniques = techniques.Split('|');
		Effect = effect;
		IsProgram = isProgram;
		_pattern = "^(?:" + key + @")\z";
		_beginnings = Beginnings(key);
		_values = values == null ? null : values.Split('|');
	}

	internal bool HasKey(string key)
	{
		foreach (string beginning in _beginnings)
		{
			if (key.StartsWith(beginning, StringComparison.OrdinalIgnoreCase))
			{
				_key = _key ?? new Regex(_pattern, Options);
				return _key.IsMatch(key);
			}
		}
		return false;
	}

	/// <summary>Return the texts with which an expression begins: one, or (?:ONE|OTHER) and what follows.</summary>
	private static string[] Beginnings(string key)
	{
		int position = 0;
		string[] beginnings = { "" };
		if (key.StartsWith("(?:", StringComparison.Ordinal))
		{
			position = key.IndexOf(')') + 1;
			beginnings = key.Substring(3, position - 4).Split('|');
		}
		Match literal = Literal.Match(key, position);
		return Array.ConvertAll(beginnings, delegate(string beginning)
		{
			return (beginning + literal.Value).Replace(@"\\", @"\");
		});
	}

	internal bool HasValue(string value)
	{
		if (_values == null)
			return true;
		foreach (string glob in _values)
		{
			if (value != null && Glob.Matches(glob, value))
				return true;
		}
		return false;
	}
}

/// <summary>The keys and values that start something, load something or defend the host.</summary>
public static class RegistryLocations
{
	public const string RunKey = "persistence_run_key";
	public const string Service = "persistence_windows_service";
	public const string Task = "persistence_scheduled_task";
	public const string ImageOptions = "persistence_image_options";
	public const string LoadedLibrary = "persistence_loaded_library";
	public const string LogonProgram = "persistence_windows_logon";
	public const string Com = "persistence_com_hijack";
	public const string Office = "persistence_office";
	public const string Wmi = "persistence_wmi";
	public const string Authentication = "windows_authentication_changed";
	public const string Defence = "windows_defence_changed";
	public const string Trust = "windows_trust_changed";

	// After Normal(): CCS is the current control set, there is no WOW6432Node, and USER is one account's hive.
	private const string Software = @"(?:HKLM|USER)\\SOFTWARE\\";
	private const string Windows = Software + @"Microsoft\\Windows\\CurrentVersion\\";
	private const string Nt = Software + @"Microsoft\\Windows NT\\CurrentVersion\\";
	private const string Services = @"HKLM\\SYSTEM\\CCS\\Services\\";
	private const string Control = @"HKLM\\SYSTEM\\CCS\\Control\\";
	private const string Classes =
		@"(?:HKLM\\SOFTWARE\\Classes|USER_CLASSES|USER\\SOFTWARE\\Classes)\\";

	private static readonly Regex View = new Regex(
		@"\\WOW6432Node(?=\\|\z)", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant);

	private static readonly Regex ControlSet = new Regex(
		@"^HKLM\\SYSTEM\\(?:CurrentControlSet|ControlSet\d{3})(?=\\|\z)",
		RegexOptions.IgnoreCase | RegexOptions.CultureInvariant);

	private static readonly Regex User = new Regex(
		@"^HKU\\[^\\]+?(?<classes>_Classes)?(?=\\|\z)", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant);

	private static readonly RegistryLocation[] All =
	{
		Program(RunKey, "medium", "T1547.001",
			Windows + @"(?:Run(?:Once|OnceEx|Services|ServicesOnce)?(?:\\.*)?|Policies\\Explorer\\Run)", null,
			"is started at each sign-in"),
		Program(RunKey, "high", "T1547.001", Nt + "Windows", "Load|Run", "is started at each sign-in"),
		Program(Service, "medium", "T1543.003", Services + @"[^\\]+", "ImagePath", "is run by the service manager"),
		Program(Service, "high", "T1543.003", Services + @"[^\\]+(?:\\Parameters)?", "ServiceDll",
			"is loaded as a service"),
		Program(Service, "high", "T1543.003", Services + @"[^\\]+", "FailureCommand",
			"is run as SYSTEM when the service fails"),
		Program(Service, "high", "T1543.003|T1574", Services + @"[^\\]+\\Performance", "Library",
			"is loaded by programs that read performance counters"),
		Data(Service, "high", "T1574.012", Services + @"[^\\]+", "Environment",
			"is the environment of the service, which says what libraries it loads"),
		Data(Service, "medium", "T1543.003|T1574.011", Services + @"[^\\]+", "FailureActions",
			"says what Windows runs when the service fails"),
		Data(Service, "medium", "T1543.003", Services + @"[^\\]+", "ObjectName",
			"is the account that the service runs as"),
		Data(Service, "medium", "T1543.003", Services + @"[^\\]+\\Security", "Security",
			"says who may start, stop and change the service"),
		Data(Service, "medium", "T1543.003", Services + @"[^\\]+", "Start|Type",
			"decides whether and how the service or driver is started"),
		Data(Service, "medium", "T1543.003", Nt + "Svchost", null,
			"names the services that svchost.exe runs together"),
		Data(Defence, "high", "T1562.001", Services + @"[^\\]+\\Instances\\[^\\]+", "Altitude",
			"orders the drivers that see files; of two with the same, one is not loaded"),
		Data(Defence, "high", "T1565.001", Services + @"Tcpip\\Parameters", "DataBasePath",
			"is the directory of the file hosts"),
		Program(LoadedLibrary, "high", "T1574", Services + @"RemoteAccess\\RouterManagers\\[^\\]+", "DLLPath",
			"is loaded by the service for remote access"),
		Program(LoadedLibrary, "medium", "T1547.012", Control + @"Print\\Environments\\.*\\Drivers\\.*",
			"Driver|Configuration File|Data File|Dependent Files|Monitor",
			"is loaded by the print spooler as SYSTEM"),
		Data(LoadedLibrary, "medium", "T1574.007", Control + @"Session Manager\\Environment", "Path|PSModulePath",
			"says where Windows looks for programs and modules"),
		Program(LoadedLibrary, "high", "T1547.012",
			Control + @"Print\\Environments\\.*\\Print Processors\\.*", "Driver",
			"is loaded by the print spooler as SYSTEM"),
		Program(LoadedLibrary, "high", "T1547.010", Control + @"Print\\(?:Monitors|Providers)(?:\\.*)?", null,
			"is loaded by the print spooler as SYSTEM"),
		Program(LoadedLibrary, "high", "T1547.003", Services + @"W32Time\\TimeProviders\\[^\\]+", "DllName",
			"is loaded by the time service"),
		Program(LoadedLibrary, "high", "T1546.007", Software + @"Microsoft\\NetSh", null, "is loaded by netsh.exe"),
		Program(LoadedLibrary, "high", "T1546.010", Nt + "Windows", "AppInit_DLLs",
			"is loaded into every program that has windows"),
		Data(LoadedLibrary, "high", "T1546.010", Nt + "Windows", "LoadAppInit_DLLs|RequireSignedAppInit_DLLs",
			"says whether AppInit_DLLs are loaded into programs"),
		Program(LoadedLibrary, "high", "T1546.009", Control + @"Session Manager\\AppCertDlls", null,
			"is loaded into every program that starts another"),
		Program(LoadedLibrary, "high", "T1574.001", Control + @"Session Manager\\KnownDLLs", null,
			"is the library that programs get under a common name"),
		Program(LogonProgram, "high", "T1547.001", Control + "Session Manager", "BootExecute|SetupExecute|Execute",
			"is run before anybody can sign in"),
		Data(LogonProgram, "high", "T1547.001", Control + "Session Manager", "PendingFileRenameOperations*",
			"replaces files at the next start"),
		Program(ImageOptions, "high", "T1546.012",
			Nt + @"(?:Image File Execution Options|SilentProcessExit)(?:\\.*)?",
			"Debugger|MonitorProcess|VerifierDlls",
			"is run or loaded in place of, or with, the program of the key"),
		Data(ImageOptions, "medium", "T1546.012", Nt + @"(?:Image File Execution Options|SilentProcessExit)\\.*",
			"GlobalFlag|ReportingMode|UseFilter|FilterFullPath",
			"changes what Windows does when the program of the key starts or ends"),
		Program(LogonProgram, "high", "T1547.004", Nt + @"Winlogon(?:\\Notify(?:\\.*)?)?",
			"Shell|Userinit|Taskman|VmApplet|System|UIHost|GinaDLL|AppSetup|DllName|MPNotify",
			"is started at each sign-in"),
		Program(LogonProgram, "high", "T1547.004", Nt + @"Winlogon\\AlternateShells\\AvailableShells", null,
			"is started as the shell"),
		Data(Defence, "medium", "T1547.004", Nt + "Winlogon", "AutoAdminLogon|DefaultUserName|LegalNotice*",
			"decides who is signed in and how"),
		Program(LogonProgram, "high", "T1547.014",
			Software + @"Microsoft\\Active Setup\\Installed Components\\[^\\]+", "StubPath",
			"is run once for each account that signs in"),
		Program(LogonProgram, "high", "T1037.001", @"USER\\Environment", "UserInitMprLogonScript",
			"is run when the account signs in"),
		Program(LogonProgram, "medium", "T1546.002", @"USER\\(?:.*\\)?Control Panel\\Desktop", "SCRNSAVE.EXE",
			"is started when the account is idle"),
		Data(LogonProgram, "low", "T1546.002", @"USER\\(?:.*\\)?Control Panel\\Desktop", "ScreenSave*",
			"decides whether the screen saver starts and locks the session"),
		Program(LogonProgram, "medium", "T1059", Software + @"Microsoft\\Command Processor", "AutoRun",
			"is run by each command prompt"),
		Program(Authentication, "high", "T1547.005|T1547.002|T1556.002", Control + @"Lsa(?:\\OSConfig)?",
			"Security Packages|Authentication Packages|Notification Packages",
			"is loaded into lsass.exe, where it sees passwords"),
		Data(Authentication, "high", "T1556|T1562", Control + @"Lsa(?:\\.*)?", null,
			"decides how passwords are checked and protected"),
		Program(Authentication, "high", "T1556.008", Services + @"[^\\]+\\NetworkProvider", "ProviderPath",
			"is given passwords when somebody signs in"),
		Data(Authentication, "high", "T1556.008", Control + @"NetworkProvider\\(?:HwOrder|Order)", null,
			"says which network providers are given passwords"),
		Data(Authentication, "high", "T1556|T1003.001", Control + @"SecurityProviders(?:\\.*)?", null,
			"decides which security providers are loaded and whether WDigest keeps passwords readable"),
		Program(Authentication, "high", "T1556",
			Windows + @"Authentication\\(?:Credential Provider.*|PLAP Providers.*)", null,
			"is asked for credentials at the sign-in screen"),
		Program(Com, "high", "T1546.015",
			Classes + @"CLSID\\[^\\]+\\(?:Inproc(?:Server|Handler)32|LocalServer32|TreatAs|ScriptletURL).*", null,
			"is loaded where programs ask for this COM class"),
		Program(Com, "high", "T1546.015", Classes + @"TypeLib\\.*", null,
			"is loaded where programs ask for this type library"),
		Program(Com, "high", "T1546.001|T1548.002", Classes + @"[^\\]+\\shell\\.*", null,
			"is run to open files of this kind"),
		Data(Com, "high", "T1548.002", Classes + @"[^\\]+\\CurVer", null,
			"leads what is opened as this kind to another one"),
		Program(Office, "high", "T1137.002", Software + @"Microsoft\\Office test\\.*", null,
			"is loaded by each Office program"),
		Program(Office, "medium", "T1137.006", Software + @"Microsoft\\Office\\.*", null,
			"is loaded by an Office program or decides what it may run"),
		Program(Task, "medium", "T1053.005", Nt + @"Schedule\\TaskCache\\.*", "Actions",
			"is run by a scheduled task"),
		Data(Task, "medium", "T1053.005", Nt + @"Schedule\\TaskCache\\.*", "SD|Triggers",
			"decides who sees a scheduled task and as whom it runs"),
		Data(Task, "low", "T1053.005", Nt + @"Schedule\\TaskCache\\.*", null, "is part of a scheduled task"),
		Program(Wmi, "high", "T1546.003", Software + @"Microsoft\\Wbem\\.*", null,
			"decides what WMI loads and runs"),
		Data(Trust, "high", "T1553.004", Software + @"(?:Policies\\)?Microsoft\\.*Certificates\\.*", null,
			"decides which certificates are trusted"),
		Program(Trust, "high", "T1553.003", Software + @"Microsoft\\Cryptography\\(?:OID|Providers)\\.*", null,
			"verifies signatures of programs"),
		Data(Defence, "high", "T1562.001",
			Software + @"(?:Policies\\)?Microsoft\\Windows Defender\\(?:.*\\)?Exclusions.*", null,
			"is not examined by Defender"),
		Data(Defence, "high", "T1562.001", Software + @"(?:Policies\\)?Microsoft\\Windows Defender(?:\\.*)?", null,
			"decides what Defender does"),
		Data(Defence, "medium", "T1562.004", Services + @"SharedAccess\\Parameters\\FirewallPolicy(?:\\.*)?", null,
			"decides what the firewall lets through"),
		Data(Defence, "high", "T1548.002|T1112", Windows + @"Policies\\System(?:\\.*)?", null,
			"decides when Windows asks before a program gets administrative rights"),
		Data(Defence, "high", "T1562.002|T1562.003",
			Software + @"Policies\\Microsoft\\Windows\\PowerShell(?:\\.*)?", null,
			"decides what PowerShell logs and runs"),
		Data(Defence, "high", "T1562.002",
			@"(?:HKLM\\SYSTEM\\CCS\\Services\\EventLog|HKLM\\SYSTEM\\CCS\\Control\\WMI\\Autologger|" +
			@"HKLM\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\WINEVT|HKLM\\SECURITY\\Policy\\PolAdtEv)" +
			@"(?:\\.*)?",
			null, "decides what is logged")
	};

	[ThreadStatic]
	private static string _lastKey;

	[ThreadStatic]
	private static RegistryLocation[] _lastLocations;

	/// <summary>Return what is known of a key (value null) or a value; null for everything else.</summary>
	public static RegistryLocation Find(string key, string value)
	{
		// The values of a key come one after the other.
		if (!string.Equals(key, _lastKey, StringComparison.Ordinal))
		{
			string normal = Normal(key);
			_lastLocations = Array.FindAll(All, delegate(RegistryLocation location) { return location.HasKey(normal); });
			_lastKey = key;
		}
		foreach (RegistryLocation location in _lastLocations)
		{
			if (location.HasValue(value))
				return location;
		}
		return null;
	}

	/// <summary>Say whether values of a key mean something that is known.</summary>
	public static bool Knows(string key)
	{
		Find(key, null);
		return _lastLocations.Length > 0;
	}

	/// <summary>Return a key without view and control set, and with USER for the hive of an account.</summary>
	public static string Normal(string key)
	{
		bool hasView = key.IndexOf("WOW6432Node", StringComparison.OrdinalIgnoreCase) >= 0;
		string path = hasView ? View.Replace(key, "") : key;
		if (path.StartsWith("HKU", StringComparison.OrdinalIgnoreCase))
			return User.Replace(path, UserName);
		return path.StartsWith(@"HKLM\SYSTEM", StringComparison.OrdinalIgnoreCase)
			? ControlSet.Replace(path, @"HKLM\SYSTEM\CCS")
			: path;
	}

	private static string UserName(Match match)
	{
		return match.Groups["classes"].Success ? "USER_CLASSES" : "USER";
	}

	private static RegistryLocation Program(
		string alert, string severity, string techniques, string key, string values, string effect)
	{
		return new RegistryLocation(alert, severity, techniques, key, values, true, effect);
	}

	private static RegistryLocation Data(
		string alert, string severity, string techniques, string key, string values, string effect)
	{
		return new RegistryLocation(alert, severity, techniques, key, values, false, effect);
	}
}
}
