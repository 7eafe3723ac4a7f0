// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.ComponentModel;
using System.Globalization;
using System.IO;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.audit_policy.PolicyHost
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.AuditPolicy;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.EventChannels;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Machine;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.MachineSettings;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.SecurityPrivilege;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Services;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.SystemAudit;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Errors;

	/// <summary>Files of a host, read whole.</summary>
	public interface IPolicyFiles
	{
		/// <summary>Return what SystemRoot, SystemDrive, ProgramData or ProgramFiles stands for; null for other names.
		/// </summary>
		string Folder(string name);

		/// <summary>Return a file, null without one; IOException or UnauthorizedAccessException if it cannot be read.
		/// </summary>
		byte[] Read(string path);

		/// <summary>Return the names of the directories in one; none without it, or where it cannot be read.</summary>
		IList<string> Directories(string path);

		/// <summary>Return 0 for nothing, 1 for a file, 2 for a directory.</summary>
		int Kind(string path);
	}

	/// <summary>The files of this host.</summary>
	public sealed class PolicyFiles : IPolicyFiles
	{
		private const int LargestFile = 64 * 1024 * 1024;

		// An account can set variables of these names.
		public string Folder(string name)
		{
			switch (name.ToUpperInvariant())
			{
				case "SYSTEMROOT":
					return Environment.GetFolderPath(Environment.SpecialFolder.Windows);
				case "SYSTEMDRIVE":
					return Environment.GetFolderPath(Environment.SpecialFolder.Windows).Substring(0, 2);
				case "PROGRAMDATA":
					return Environment.GetFolderPath(Environment.SpecialFolder.CommonApplicationData);
				case "PROGRAMFILES":
					return Environment.GetFolderPath(Environment.SpecialFolder.ProgramFiles);
				default:
					return null;
			}
		}

		public byte[] Read(string path)
		{
			try
			{
				// Group policy replaces its files whenever it likes.
				using (FileStream file = new FileStream(
					path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete))
				{
					if (file.Length > LargestFile)
						throw new IOException("it has more than 64 MB");
					MemoryStream content = new MemoryStream();
					file.CopyTo(content);
					return content.ToArray();
				}
			}
			catch (FileNotFoundException)
			{
				return null;
			}
			catch (DirectoryNotFoundException)
			{
				return null;
			}
		}

		public IList<string> Directories(string path)
		{
			List<string> names = new List<string>();
			try
			{
				foreach (string directory in Directory.GetDirectories(path))
					names.Add(Path.GetFileName(directory));
			}
			catch (IOException)
			{
				// It is not there: most hosts are in no domain.
			}
			catch (UnauthorizedAccessException)
			{
				// Only an administrator gets here with a changed host; what rules is then seen in the policy keys.
			}
			return names;
		}

		public int Kind(string path)
		{
			return Directory.Exists(path) ? 2 : File.Exists(path) ? 1 : 0;
		}
	}

	/// <summary>The parts of a host that its audit policy is in.</summary>
	public sealed class PolicyHost
	{
		// VER_NT_DOMAIN_CONTROLLER
		private const int DomainController = 2;
		private const int AccessDenied = 5;
		private const int PrivilegeNotHeld = 1314;
		private const int ServerUnavailable = 1722;

		public readonly IAuditPolicy Audit;
		public readonly IEventChannels Channels;
		public readonly ISystemAudit Objects;
		public readonly IMachineSettings Settings;
		public readonly IServices Services;
		public readonly IPolicyFiles Files;
		public readonly bool IsDomainController;

		public PolicyHost(
			IAuditPolicy audit, IEventChannels channels, ISystemAudit objects, IMachineSettings settings,
			IServices services, IPolicyFiles files, bool isDomainController)
		{
			Audit = audit;
			Channels = channels;
			Objects = objects;
			Settings = settings;
			Services = services;
			Files = files;
			IsDomainController = isDomainController;
		}

		/// <summary>Return this host; HostException in a process that sees other files than the host has.</summary>
		public static PolicyHost Local()
		{
			if (Environment.Is64BitOperatingSystem && !Environment.Is64BitProcess)
				throw new HostException(
					"the PowerShell of the connection is a 32-bit process, which sees other files of group policy and"
					+ " SACLs than the host has: set the 64-bit one as the shell of the connection");
			// Without it, each reading of audit policy and SACLs says so.
			SecurityPrivilege.Enable();
			return new PolicyHost(
				new NativeAuditPolicy(), new NativeEventChannels(), new NativeSystemAudit(),
				new NativeMachineSettings(), new NativeServices(), new PolicyFiles(),
				new Machine().Version()[3] == DomainController);
		}

		/// <summary>Return why something failed, for people.</summary>
		public static string Explain(int error)
		{
			string number = error.ToString(CultureInfo.InvariantCulture);
			switch (error)
			{
				case AccessDenied:
					return "access is denied (error 5); connect as an administrator";
				case PrivilegeNotHeld:
					return "the account lacks SeSecurityPrivilege (error 1314); grant it"
						+ " \"Manage auditing and security log\"";
				case ServerUnavailable:
					return "the event log service does not answer (error 1722); start it";
				default:
					return new Win32Exception(error).Message.TrimEnd('.', ' ') + " (error " + number + ")";
			}
		}
	}
}
