// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.ComponentModel;
using System.Globalization;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.platform.PlatformFacts
{
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Machine;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.PowerShellHost;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Privileges;

	/// <summary>
	/// The facts that name a Windows host's platform, in the words of Ansible's own facts where it has them.
	/// </summary>
	public sealed class PlatformFacts
	{
		private const string CurrentVersion = @"SOFTWARE\Microsoft\Windows NT\CurrentVersion";
		private const string Firmware = @"HARDWARE\DESCRIPTION\System\BIOS";
		private const string Control = @"SYSTEM\CurrentControlSet\Control";

		// VER_NT_* (https://learn.microsoft.com/windows/win32/api/winnt/ns-winnt-osversioninfoexw).
		private const int Workstation = 1;
		private const int DomainController = 2;
		private const int Server = 3;
		// The first build that is called Windows 11; its ProductName still says Windows 10.
		private const int FirstWindows11 = 22000;

		// Parts of the manufacturer and the product in the firmware of virtual machines.
		private static readonly string[] VirtualFirmware =
		{
			"Virtual Machine", "VMware", "VirtualBox", "KVM", "QEMU", "Xen", "HVM domU", "Bochs", "Parallels",
			"Google Compute Engine", "Amazon EC2", "OpenStack", "Nutanix", "RHV", "oVirt", "BHYVE"
		};

		private readonly IMachine _machine;
		private readonly IPrivileges _privileges;
		private readonly IPowerShellHost _powerShell;
		private readonly int[] _version;

		public PlatformFacts(IMachine machine, IPrivileges privileges, IPowerShellHost powerShell)
		{
			_machine = machine;
			_privileges = privileges;
			_powerShell = powerShell;
			_version = machine.Version();
		}

		/// <summary>Ansible's facts: what is not known is left out.</summary>
		public Dictionary<string, object> Facts()
		{
			Dictionary<string, object> facts = new Dictionary<string, object>();
			facts["ansible_system"] = "Win32NT";
			facts["ansible_virtualization_role"] = IsVirtual() ? "guest" : "NA";
			Add(facts, "ansible_distribution", Distribution());
			Add(facts, "ansible_domain", _machine.Domain());
			string build = Build();
			if (build != null)
			{
				string version = string.Format(CultureInfo.InvariantCulture, "{0}.{1}.{2}.{3}",
					_version[0], _version[1], build, UpdateRevision() ?? 0);
				facts["ansible_distribution_version"] = version;
				facts["ansible_kernel"] = version;
			}
			AddAddress(facts, "ansible_default_ipv4", _machine.SourceAddress(false));
			AddAddress(facts, "ansible_default_ipv6", _machine.SourceAddress(true));
			return facts;
		}

		/// <summary>What only Windows has.</summary>
		public Dictionary<string, object> Windows()
		{
			Dictionary<string, object> known = new Dictionary<string, object>();
			Add(known, "product_type", ProductType());
			Add(known, "installation_type", Text(CurrentVersion, "InstallationType"));
			Add(known, "edition", Text(CurrentVersion, "EditionID"));
			Add(known, "build", Build());
			int? revision = UpdateRevision();
			if (revision != null)
				known["update_revision"] = revision.Value;
			Add(known, "architecture", Architecture());
			Add(known, "powershell_edition", _powerShell.Edition());
			Add(known, "powershell_version", _powerShell.Version());
			Add(known, "language_mode", _powerShell.LanguageMode());
			Add(known, "lockdown_policy", _powerShell.LockdownPolicy());
			known["is_32bit_process"] = _machine.Is32BitProcess();
			known["is_container"] = _machine.LocalMachineValue(Control, "ContainerType") != null;
			known["is_administrator"] = _privileges.IsAdministrator();
			try
			{
				known["privileges"] = _privileges.Names();
			}
			catch (Win32Exception)
			{
				// Without the list nothing is claimed about it.
			}
			return known;
		}

		private string Distribution()
		{
			string name = Text(CurrentVersion, "ProductName");
			if (name == null)
				return null;
			if (_version[3] == Workstation && _version[2] >= FirstWindows11)
				name = name.Replace("Windows 10", "Windows 11");
			return name.StartsWith("Microsoft ", StringComparison.Ordinal) ? name : "Microsoft " + name;
		}

		private string ProductType()
		{
			switch (_version[3])
			{
				case Workstation:
					return "workstation";
				case DomainController:
					return "domain_controller";
				case Server:
					return "server";
				default:
					return null;
			}
		}

		private string Build()
		{
			return _version[2] < 0 ? null : _version[2].ToString(CultureInfo.InvariantCulture);
		}

		private int? UpdateRevision()
		{
			return _machine.LocalMachineValue(CurrentVersion, "UBR") as int?;
		}

		private string Architecture()
		{
			// PROCESSOR_ARCHITECTURE_*
			// (https://learn.microsoft.com/windows/win32/api/sysinfoapi/ns-sysinfoapi-system_info).
			switch (_machine.Architecture())
			{
				case 0:
					return "32-bit";
				case 9:
					return "64-bit";
				case 12:
					return "ARM 64-bit";
				default:
					return null;
			}
		}

		private bool IsVirtual()
		{
			string firmware = Text(Firmware, "SystemManufacturer") + "\n" + Text(Firmware, "SystemProductName");
			foreach (string part in VirtualFirmware)
				if (firmware.IndexOf(part, StringComparison.OrdinalIgnoreCase) >= 0)
					return true;
			return false;
		}

		private string Text(string key, string name)
		{
			return _machine.LocalMachineValue(key, name) as string;
		}

		private static void Add(Dictionary<string, object> values, string name, string text)
		{
			if (!string.IsNullOrEmpty(text))
				values[name] = text;
		}

		private static void AddAddress(Dictionary<string, object> facts, string name, string address)
		{
			if (address != null)
				facts[name] = new Dictionary<string, object> { { "address", address } };
		}
	}
}
