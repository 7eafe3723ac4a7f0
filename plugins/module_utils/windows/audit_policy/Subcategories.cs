// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Globalization;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.audit_policy.Subcategories
{
	/// <summary>The subcategories of the audit policy by their English names.</summary>
	public static class Subcategories
	{
		/// <summary>POLICY_AUDIT_EVENT_SUCCESS, _FAILURE and _NONE (ntsecapi.h).</summary>
		public const int Success = 1;
		public const int Failure = 2;
		public const int None = 4;

		// Microsoft gave all of them GUIDs that differ in one byte (ntsecapi.h): that byte, and the name.
		private const string Pattern = "0cce92{0}-69ae-11d9-bed3-505054503030";

		private static readonly Dictionary<string, string> ByCategory = new Dictionary<string, string>
		{
			{ "System",
				"10 Security State Change|11 Security System Extension|12 System Integrity|13 IPsec Driver|" +
				"14 Other System Events" },
			{ "Logon/Logoff",
				"15 Logon|16 Logoff|17 Account Lockout|18 IPsec Main Mode|19 IPsec Quick Mode|" +
				"1A IPsec Extended Mode|1B Special Logon|1C Other Logon/Logoff Events|" +
				"43 Network Policy Server|47 User / Device Claims|49 Group Membership" },
			{ "Object Access",
				"1D File System|1E Registry|1F Kernel Object|20 SAM|21 Certification Services|" +
				"22 Application Generated|23 Handle Manipulation|24 File Share|" +
				"25 Filtering Platform Packet Drop|26 Filtering Platform Connection|" +
				"27 Other Object Access Events|44 Detailed File Share|45 Removable Storage|" +
				"46 Central Policy Staging" },
			{ "Privilege Use",
				"28 Sensitive Privilege Use|29 Non Sensitive Privilege Use|2A Other Privilege Use Events" },
			{ "Detailed Tracking",
				"2B Process Creation|2C Process Termination|2D DPAPI Activity|2E RPC Events|" +
				"48 Plug and Play Events|4A Token Right Adjusted Events" },
			{ "Policy Change",
				"2F Audit Policy Change|30 Authentication Policy Change|31 Authorization Policy Change|" +
				"32 MPSSVC Rule-Level Policy Change|33 Filtering Platform Policy Change|" +
				"34 Other Policy Change Events" },
			{ "Account Management",
				"35 User Account Management|36 Computer Account Management|37 Security Group Management|" +
				"38 Distribution Group Management|39 Application Group Management|" +
				"3A Other Account Management Events" },
			{ "DS Access",
				"3B Directory Service Access|3C Directory Service Changes|3D Directory Service Replication|" +
				"3E Detailed Directory Service Replication" },
			{ "Account Logon",
				"3F Credential Validation|40 Kerberos Service Ticket Operations|" +
				"41 Other Account Logon Events|42 Kerberos Authentication Service" }
		};

		private static readonly Dictionary<Guid, string> Names = new Dictionary<Guid, string>();
		private static readonly Dictionary<Guid, string> Categories = new Dictionary<Guid, string>();
		private static readonly Dictionary<string, Guid> ByName =
			new Dictionary<string, Guid>(StringComparer.OrdinalIgnoreCase);

		static Subcategories()
		{
			foreach (KeyValuePair<string, string> category in ByCategory)
			{
				foreach (string entry in category.Value.Split('|'))
				{
					Guid identifier = new Guid(
						string.Format(CultureInfo.InvariantCulture, Pattern, entry.Substring(0, 2)));
					Names[identifier] = entry.Substring(3);
					Categories[identifier] = category.Key;
					ByName[entry.Substring(3)] = identifier;
				}
			}
		}

		/// <summary>All that are known, with their names.</summary>
		public static IDictionary<Guid, string> All
		{
			get { return Names; }
		}

		/// <summary>Return the English name of a subcategory, its GUID for an unknown one.</summary>
		public static string Name(Guid subcategory)
		{
			string name;
			return Names.TryGetValue(subcategory, out name) ? name : Text(subcategory);
		}

		/// <summary>Return the English name of the category of a subcategory, null for an unknown one.</summary>
		public static string Category(Guid subcategory)
		{
			string name;
			return Categories.TryGetValue(subcategory, out name) ? name : null;
		}

		/// <summary>Return the subcategory of an English name or a GUID; null for none.</summary>
		public static Guid? Find(string text)
		{
			Guid identifier;
			if (ByName.TryGetValue(text.Trim(), out identifier) || Guid.TryParse(text, out identifier))
				return identifier;
			return null;
		}

		/// <summary>Return a GUID as events have it: {UPPER}.</summary>
		public static string Text(Guid subcategory)
		{
			return subcategory.ToString("B").ToUpperInvariant();
		}

		/// <summary>Return what flags mean, for people and for the note.</summary>
		public static string Show(int flags)
		{
			switch (flags & (Success | Failure))
			{
				case Success:
					return "success";
				case Failure:
					return "failure";
				case Success | Failure:
					return "success and failure";
				default:
					return "none";
			}
		}

		/// <summary>Return the flags of a text of <see cref="Show"/>; -1 for another one.</summary>
		public static int Flags(string text)
		{
			return Array.IndexOf(new[] { "none", "success", "failure", "success and failure" }, text);
		}
	}
}
