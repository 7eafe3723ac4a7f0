// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System.Net;
using System.Text.RegularExpressions;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.sign_ins.Identity
{
/// <summary>Accounts and addresses as all events have them.</summary>
public static class Identity
{
	private static readonly Regex IPv4 = new Regex(@"\A(0|[1-9]\d{0,2})(\.(0|[1-9]\d{0,2})){3}\z",
		RegexOptions.CultureInvariant);

	/// <summary>
	/// Return an address in its usual notation, an IPv4 one without the prefix that maps it to IPv6; "" for what is none.
	/// </summary>
	public static string Address(string text)
	{
		int scope = text.IndexOf('%');
		IPAddress address;
		if (!IPv4.IsMatch(text) && text.IndexOf(':') < 0 ||
			!IPAddress.TryParse(scope < 0 ? text : text.Substring(0, scope), out address))
			return "";
		if (address.IsIPv4MappedToIPv6)
			address = address.MapToIPv4();
		return address.Equals(IPAddress.Any) || address.Equals(IPAddress.IPv6Any) ? "" : address.ToString();
	}

	/// <summary>Return a name as all events of one account have it: without domain, in lower case.</summary>
	public static string AccountName(string name)
	{
		int at = name.LastIndexOf('@');
		if (at > 0)
			name = name.Substring(0, at);
		int backslash = name.LastIndexOf('\\');
		if (backslash >= 0 && backslash + 1 < name.Length)
			name = name.Substring(backslash + 1);
		return name.ToLowerInvariant();
	}
}
}
