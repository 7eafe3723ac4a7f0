// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.IO;
using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Security;
using Microsoft.Win32;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Machine
{
	/// <summary>What Windows says of this machine; a null or -1 is "not known".</summary>
	public interface IMachine
	{
		/// <summary>Major and minor version, build, and product type (VER_NT_*), as the kernel has them.</summary>
		/// <remarks>RtlGetVersion is not subject to a process's compatibility settings.</remarks>
		int[] Version();

		/// <summary>A value below HKEY_LOCAL_MACHINE in the 64-bit view: a string, an int, or null.</summary>
		object LocalMachineValue(string key, string name);

		/// <summary>PROCESSOR_ARCHITECTURE_* of the processor, whatever this process runs as.</summary>
		int Architecture();

		/// <summary>Whether this process is a 32-bit one.</summary>
		bool Is32BitProcess();

		/// <summary>The DNS domain of the machine, empty without one.</summary>
		string Domain();

		/// <summary>The source address of packets to a distant host, null without a route; none is sent.</summary>
		string SourceAddress(bool version6);
	}

	/// <summary>The machine that this process runs on.</summary>
	public sealed class Machine : IMachine
	{
		// Ansible's own facts of Linux look up the route to these addresses, too. Connecting a UDP socket sends nothing.
		private const string Distant4 = "8.8.8.8";
		private const string Distant6 = "2404:6800:400a:800::1012";
		private const int DomainPort = 53;

		public int[] Version()
		{
			VersionInformation version = new VersionInformation();
			version.Size = Marshal.SizeOf(typeof(VersionInformation));
			if (RtlGetVersion(ref version) != 0)
				return new[] { -1, -1, -1, -1 };
			return new[] { version.Major, version.Minor, version.Build, version.ProductType };
		}

		public object LocalMachineValue(string key, string name)
		{
			try
			{
				using (RegistryKey root = RegistryKey.OpenBaseKey(RegistryHive.LocalMachine, RegistryView.Registry64))
				using (RegistryKey opened = root.OpenSubKey(key))
				{
					object value = opened == null ? null : opened.GetValue(name);
					return value is string || value is int ? value : null;
				}
			}
			catch (Exception error)
			{
				if (error is SecurityException || error is UnauthorizedAccessException || error is IOException)
					return null;
				throw;
			}
		}

		public int Architecture()
		{
			SystemInformation information;
			GetNativeSystemInfo(out information);
			return information.ProcessorArchitecture;
		}

		public bool Is32BitProcess()
		{
			return IntPtr.Size == 4;
		}

		public string Domain()
		{
			try
			{
				return IPGlobalProperties.GetIPGlobalProperties().DomainName ?? "";
			}
			catch (NetworkInformationException)
			{
				return "";
			}
		}

		public string SourceAddress(bool version6)
		{
			AddressFamily family = version6 ? AddressFamily.InterNetworkV6 : AddressFamily.InterNetwork;
			try
			{
				using (Socket socket = new Socket(family, SocketType.Dgram, ProtocolType.Udp))
				{
					socket.Connect(IPAddress.Parse(version6 ? Distant6 : Distant4), DomainPort);
					return ((IPEndPoint)socket.LocalEndPoint).Address.ToString();
				}
			}
			catch (SocketException)
			{
				return null;
			}
		}

		// https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-rtlgetversion
		[DllImport("ntdll.dll")]
		private static extern int RtlGetVersion(ref VersionInformation version);

		// https://learn.microsoft.com/windows/win32/api/sysinfoapi/nf-sysinfoapi-getnativesysteminfo
		[DllImport("kernel32.dll")]
		private static extern void GetNativeSystemInfo(out SystemInformation information);

		/// <summary>RTL_OSVERSIONINFOEXW.</summary>
		[StructLayout(LayoutKind.Sequential, CharSet = CharSet.Unicode)]
		internal struct VersionInformation
		{
			internal int Size;
			internal int Major;
			internal int Minor;
			internal int Build;
			internal int PlatformId;
			[MarshalAs(UnmanagedType.ByValTStr, SizeConst = 128)]
			internal string ServicePack;
			internal short ServicePackMajor;
			internal short ServicePackMinor;
			internal short SuiteMask;
			internal byte ProductType;
			internal byte Reserved;
		}

		/// <summary>SYSTEM_INFO.</summary>
		[StructLayout(LayoutKind.Sequential)]
		internal struct SystemInformation
		{
			internal short ProcessorArchitecture;
			internal short Reserved;
			internal int PageSize;
			internal IntPtr MinimumApplicationAddress;
			internal IntPtr MaximumApplicationAddress;
			internal IntPtr ActiveProcessorMask;
			internal int NumberOfProcessors;
			internal int ProcessorType;
			internal int AllocationGranularity;
			internal short ProcessorLevel;
			internal short ProcessorRevision;
		}
	}
}
