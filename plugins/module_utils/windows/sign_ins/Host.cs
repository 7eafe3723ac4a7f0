// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.ComponentModel;
using System.Net.NetworkInformation;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.sign_ins.Host
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Machine;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Privileges;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Services;

/// <summary>What the look at sign-ins knows of the host itself.</summary>
public sealed class Host
{
	// VER_NT_DOMAIN_CONTROLLER (winnt.h) and ERROR_SERVICE_DOES_NOT_EXIST.
	private const int DomainController = 2;
	private const int NoService = 1060;

	// The clock may have been wrong when Windows started.
	private const int ToleratedDays = 1;

	/// <summary>The addresses of the host, by which it signs in to itself.</summary>
	public readonly List<string> Addresses = new List<string>();

	/// <summary>The logon sessions that the scan runs in.</summary>
	public readonly List<string> Logons = new List<string>();

	/// <summary>FILETIME before which none of them began. Windows numbers sessions anew when it starts.</summary>
	public long LogonsSince;

	/// <summary>Whether others' credentials are judged here.</summary>
	public bool IsDomainController;

	/// <summary>Whether sshd is installed.</summary>
	public bool HasOpenSsh;

	/// <summary>Return this host.</summary>
	public static Host Read()
	{
		int state;
		Host host = new Host
		{
			IsDomainController = new Machine().Version()[3] == DomainController,
			// The count begins anew after 49 days, which is late enough for a session that is still there.
			LogonsSince = DateTime.UtcNow.AddMilliseconds(-(double)unchecked((uint)Environment.TickCount))
				.AddDays(-ToleratedDays).ToFileTimeUtc(),
			HasOpenSsh = new NativeServices().State("sshd", out state) != NoService,
		};
		try
		{
			host.Logons.Add(new Privileges().LogonSession());
			foreach (NetworkInterface network in NetworkInterface.GetAllNetworkInterfaces())
			{
				foreach (UnicastIPAddressInformation address in network.GetIPProperties().UnicastAddresses)
					host.Addresses.Add(address.Address.ToString());
			}
		}
		catch (Win32Exception)
		{
			// Its base is that of NetworkInformationException, too. Sign-ins of the scan, and of the host to itself, then
			// look as if they were somebody's.
		}
		return host;
	}
}
}
