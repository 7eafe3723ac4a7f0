// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Text;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.HostPaths
{
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Registry;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.CommandLine;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Model;

/// <summary>What the variables in paths stand for on a host.</summary>
public interface IHostPaths
{
	/// <summary>
	/// Return the value of a variable that is the same for every account; null where there is none.
	/// </summary>
	string Variable(string name);

	/// <summary>The directories of the profiles of all accounts, signed in or not.</summary>
	IList<string> Profiles { get; }

	/// <summary>The programs, libraries and drivers that services name; see %Services%.</summary>
	ICollection<string> Services { get; }
}

/// <summary>Windows' own directories, variables of this process, and the profiles of ProfileList.</summary>
public sealed class HostPaths : IHostPaths
{
	private const string ProfileList = @"SOFTWARE\Microsoft\Windows NT\CurrentVersion\ProfileList";

	// An account can set variables of these names, and so lead a watch elsewhere.
	private static readonly Dictionary<string, Environment.SpecialFolder> Folders =
		new Dictionary<string, Environment.SpecialFolder>(StringComparer.OrdinalIgnoreCase)
		{
			{ "SystemRoot", Environment.SpecialFolder.Windows },
			{ "windir", Environment.SpecialFolder.Windows },
			{ "ProgramData", Environment.SpecialFolder.CommonApplicationData },
			{ "ALLUSERSPROFILE", Environment.SpecialFolder.CommonApplicationData },
			{ "ProgramFiles", Environment.SpecialFolder.ProgramFiles },
			{ "ProgramFiles(x86)", Environment.SpecialFolder.ProgramFilesX86 },
			{ "CommonProgramFiles", Environment.SpecialFolder.CommonProgramFiles },
			{ "CommonProgramFiles(x86)", Environment.SpecialFolder.CommonProgramFilesX86 }
		};

	private const string ServiceKeys = @"SYSTEM\CurrentControlSet\Services";

	private readonly IRegistry _registry;
	private List<string> _profiles;
	private HashSet<string> _services;

	public HostPaths(IRegistry registry)
	{
		_registry = registry;
	}

	public string Variable(string name)
	{
		Environment.SpecialFolder folder;
		string path = Folders.TryGetValue(name, out folder) ? Environment.GetFolderPath(folder) : null;
		if (string.Equals(name, "SystemDrive", StringComparison.OrdinalIgnoreCase))
			path = Environment.GetFolderPath(Environment.SpecialFolder.Windows).Substring(0, 2);
		return string.IsNullOrEmpty(path) ? Environment.GetEnvironmentVariable(name) : path;
	}

	public IList<string> Profiles
	{
		get { return _profiles ?? (_profiles = ReadProfiles()); }
	}

	public ICollection<string> Services
	{
		get { return _services ?? (_services = ReadServices()); }
	}

	private List<string> ReadProfiles()
	{
		List<string> profiles = new List<string>();
		Action<IRegistryKey, string> add = delegate(IRegistryKey key, string value)
		{
			string path = PathVariables.Replace(Text(key, value), this);
			if (!string.IsNullOrEmpty(path) && !profiles.Contains(path))
				profiles.Add(path);
		};
		// Default: what every new account gets.
		EachSubkey(
			ProfileList,
			delegate(IRegistryKey list) { add(list, "Default"); },
			delegate(string name, IRegistryKey profile) { add(profile, "ProfileImagePath"); });
		return profiles;
	}

	private HashSet<string> ReadServices()
	{
		HashSet<string> programs = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
		string root = Variable("SystemRoot");
		Func<string, string> expand = delegate(string text) { return PathVariables.Replace(text, this) ?? text; };
		Action<string> add = delegate(string command)
		{
			string program = CommandLine.Parse(command, root, expand).Program;
			// No file has a wildcard in its name, and here it would stand for others.
			if (program.Length > 0 && !Glob.IsGlob(program))
				programs.Add(program);
		};
		EachSubkey(ServiceKeys, null, delegate(string name, IRegistryKey service)
		{
			string image = Text(service, "ImagePath");
			RegistryValue type;
			bool isDriver = service.Find("Type", out type) == RegistryStatus.Success && type.Data != null &&
				type.Data.Length == 4 && BitConverter.ToUInt32(type.Data, 0) <= 2;
			add(image.Length == 0 && isDriver ? @"System32\drivers\" + name + ".sys" : image);
			add(Text(service, "ServiceDll"));
			IRegistryKey parameters;
			if (service.Open("Parameters", false, out parameters) == RegistryStatus.Success)
			{
				using (parameters)
					add(Text(parameters, "ServiceDll"));
			}
		});
		return programs;
	}

	private void EachSubkey(string path, Action<IRegistryKey> above, Action<string, IRegistryKey> act)
	{
		IRegistryKey machine;
		if (_registry.OpenRoot("HKLM", out machine) != RegistryStatus.Success)
			return;
		using (machine)
		{
			IRegistryKey parent;
			if (machine.Open(path, true, out parent) != RegistryStatus.Success)
				return;
			using (parent)
			{
				if (above != null)
					above(parent);
				string name;
				for (int index = 0; parent.Subkey(index, out name) == RegistryStatus.Success; index++)
				{
					IRegistryKey key;
					if (parent.Open(name, false, out key) == RegistryStatus.Success)
					{
						using (key)
							act(name, key);
					}
				}
			}
		}
	}

	// Up to the first NUL, as Windows reads it; "" for what is not there.
	private static string Text(IRegistryKey key, string value)
	{
		RegistryValue read;
		if (key.Find(value, out read) != RegistryStatus.Success || read.Data == null)
			return "";
		char[] text = new char[read.Data.Length / 2];
		Buffer.BlockCopy(read.Data, 0, text, 0, text.Length * 2);
		return new string(text).Split('\0')[0];
	}
}

/// <summary>Replaces %NAME% in the paths of watches.</summary>
public static class PathVariables
{
	/// <summary>As a whole path: every program, library and driver that a service names.</summary>
	public const string Services = "%Services%";

	private const string Profile = "%USERPROFILE%";

	private static readonly Dictionary<string, string> OfProfiles =
		new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase)
		{
			{ "USERPROFILE", Profile },
			{ "APPDATA", Profile + @"\AppData\Roaming" },
			{ "LOCALAPPDATA", Profile + @"\AppData\Local" }
		};

	/// <summary>
	/// Return what a path stands for: one for each profile where it names %USERPROFILE%, %APPDATA% or
	/// %LOCALAPPDATA%. missing: the variable that the host does not have, else null.
	/// </summary>
	public static List<string> Expand(string path, IHostPaths host, out string missing)
	{
		List<string> paths = new List<string>();
		if (string.Equals(path, Services, StringComparison.OrdinalIgnoreCase))
		{
			paths.AddRange(host.Services);
			missing = null;
			return paths;
		}
		string replaced = Replace(path, host, out missing);
		if (missing != null)
			return paths;
		if (replaced.IndexOf(Profile, StringComparison.Ordinal) < 0)
		{
			paths.Add(replaced);
			return paths;
		}
		if (host.Profiles.Count == 0)
			missing = "USERPROFILE";
		foreach (string profile in host.Profiles)
			paths.Add(replaced.Replace(Profile, profile.TrimEnd('\\')));
		return paths;
	}

	internal static string Replace(string path, IHostPaths host)
	{
		string missing;
		string replaced = Replace(path, host, out missing);
		return missing == null && replaced.IndexOf(Profile, StringComparison.Ordinal) < 0 ? replaced : null;
	}

	private static string Replace(string path, IHostPaths host, out string missing)
	{
		missing = null;
		StringBuilder text = new StringBuilder();
		int position = 0;
		while (true)
		{
			int start = path.IndexOf('%', position);
			int end = start < 0 ? -1 : path.IndexOf('%', start + 1);
			if (end < 0)
				return text.Append(path, position, path.Length - position).ToString();
			string name = path.Substring(start + 1, end - start - 1);
			string value;
			if (!OfProfiles.TryGetValue(name, out value))
				value = host.Variable(name);
			if (string.IsNullOrEmpty(value))
			{
				missing = name;
				return null;
			}
			text.Append(path, position, start - position).Append(value.TrimEnd('\\'));
			position = end + 1;
		}
	}
}
}
