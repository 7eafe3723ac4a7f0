// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System.Text.RegularExpressions;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Secrets
{
	/// <summary>Passwords and keys that people give on command lines: they stay on the host.</summary>
	/// <remarks>The expressions are those of module_utils/_secrets.py, where each is explained.</remarks>
	public static class Secrets
	{
		private const string Words =
			@"(?:pass(?:word|wd|phrase)?|pwd|secret|token|api[-_]?key|access[-_]?key|secret[-_]?key|credentials?)";

		private static readonly Regex[] Patterns =
		{
			Any(@"((?:^|\s)--?[\w-]{0,40}?" + Words + @"(?:=|\s+))(?![\s-])\S+"),
			Any(@"(\b[\w.]{0,60}?" + Words + @"\s?[=:]\s?[\""']?)[^\s\""']+"),
			Cased(@"(\w://[^\s/:@]{1,100}:)[^\s/@]+(?=@)"),
			Any(@"(\b(?:authorization|proxy-authorization):\s?\w{1,20}\s)[^\s\""']+"),
			Any(@"(\bbearer\s)[^\s\""']+"),
			Cased(@"(\b(?:sshpass|useradd|usermod|adduser|ldapsearch|ldapmodify)\s(?:.{0,200}\s)?"
				+ @"-[pw]\s?)(?![\s-])\S+"),
			Cased(@"(\b(?:mysql|mysqldump|mysqladmin|mariadb|mariadb-dump|xfreerdp)\s(?:.{0,200}"
				+ @"\s)?(?:-p|/p:))(?=\S)\S+"),
			Cased(@"(\bplink\s(?:.{0,200}\s)?-pw\s)\S+"),
			Cased(@"(\b(?:curl|wget|http|https)\s(?:.{0,200}\s)?(?:-u|--user)[=\s]?[^\s:]{1,100}:)\S+"),
			Cased(@"(\bredis-cli\s(?:.{0,200}\s)?-a\s)\S+"),
			Cased(@"(\bhtpasswd\s-\w{0,8}b\w{0,8}\s\S{1,200}\s\S{1,100}\s)\S+"),
			Cased(@"(\b(?:echo|printf)\s(?:-\w{1,4}\s)?[\""']?[\w.-]{1,64}:)[^\s\""']+(?=.{0,40}\bchpasswd)"),
			Cased(@"(\b(?:docker|podman|buildah|skopeo|nerdctl)\slogin\s(?:.{0,200}\s)?-p\s?)(?![\s-])\S+"),
			Cased(@"(\b(?:mongo\w{0,10}|rdesktop|xmrig)\s(?:.{0,200}\s)?-p\s?)(?![\s-])\S+"),
			Cased(@"(\b(?:sqlcmd|bcp|ipmitool|mosquitto_[ps]ub)\s(?:.{0,200}\s)?-P\s?)(?![\s-])\S+"),
			Cased(@"(\b(?:smbclient|smbget|rpcclient|net)\s(?:.{0,200}\s)?-U\s?[^\s%]{1,100}%)\S+"),
			Cased(@"(\bopenssl\s(?:.{0,200}\s)?-k\s)(?![\s-])\S+"),
			Cased(@"(\bvault\slogin\s)(?![\s-])\S+"),
			Cased(@"(\bnmcli\s(?:.{0,200}\s)?password\s)\S+"),
			Cased(@"(--(?:auth[=\s][^\s:]{1,100}:|tls-psk[=\s]))\S+"),
			Cased(@"(\b(?:gh[opsu]|github_pat|glpat|hvs|xox[abprs]|[sr]k_live|dckr_pat|npm|pypi)[-_.])[\w-]{16,}"),
			Cased(@"(\bSG\.)[\w-]{16,}\.[\w-]{16,}"),
			Cased(@"(\b(?:AIza|dop_v1_|shpat_|sk-ant-|AGE-SECRET-KEY-1))[\w-]{16,}"),
			Cased(@"(\b(?:AKIA|ASIA))[A-Z0-9]{16}\b"),
			Cased(@"(\beyJ[\w-]{8,200}\.)[\w-]{8,}\.[\w-]{8,}"),
			Cased(@"(\bhooks\.slack\.com/\w{1,20}/\w{1,20}/\w{1,20}/)\w{8,}"),
			Cased(@"(\b(?:discord|discordapp)\.com/api/webhooks/\d{1,30}/)[\w-]{8,}"),
			Cased(@"(\bapi\.telegram\.org/bot\d{1,20}:)[\w-]{16,}"),
			Cased(@"(?<![0-9A-Fa-f])((?:[0-9A-Fa-f]{32})?:)[0-9A-Fa-f]{32}(?![0-9A-Fa-f])"),
			Any(@"((?:\s-H|\s-{1,2}hash(?:es)?|\s--ntlm|/pth|\s-aesKey)[\s=:][\""']?:?)[0-9A-Fa-f]{32,64}\b"),
			Cased(@"((?:^|[\s\""'])[\w.-]{1,60}[/\\][\w.$-]{1,60}:)[^\s/:@]+(?=@[\w.-])"),
			Cased(@"(\b(?:echo|printf)\s(?:-\w{1,4}\s)?[\""']?)[^\s\""'|]+(?=[^|]{0,40}\|\s{0,4}("
				+ @"?:/usr/bin/)?(?:sudo\s("
				+ @"?:-\w{1,8}\s){0,4}(?:-\w{0,6}S|--stdin)|su\s))"),
			Cased(@"(\b(?:smb|winrm|mssql|wmi|rdp|evil-winrm|ldapdomaindump|netexec|nxc|crackmape"
				+ @"xec)\s(?:.{0,200}\s)?-p"
				+ @"\s?)(?![\s-])\S+"),
			Cased(@"(\b(?:ccencrypt|ccrypt|zip)\s(?:.{0,200}\s)?-[KP]\s?)(?![\s-])\S+"),
			Cased(@"(\b(?:7z[ar]?|rar)\s(?:.{0,200}\s)?-h?p)(?![\s-])\S+"),
			Across(@"(-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----).*"),
			Cased(@"(\$(?:1|2[abxy]|5|6|7|y|gy|sha1)\$)[./A-Za-z0-9$=,*-]{8,}"),
		};

		// What the expressions can't match without; most command lines have none of it.
		private static readonly Regex Hints = Any(
			@"pass|pwd|secret|token|key|credential|://|authorization|bearer|useradd|usermod|adduser|ldap|mysql|mar"
			+ @"iadb|xfreerdp|plink|curl|wget|http|redis-cli|htpasswd|\$[\dgsy]|login|mongo|rdesktop|xmrig|sqlcmd|bc"
			+ @"p|ipmitool|mosquitto|smb|rpcclient|\bnet\s|openssl|--auth|--tls-psk|gh[opsu]_|_pat|glpat|hvs|xox|k_l"
			+ @"ive|npm|pypi|AIza|dop_v1|shpat|sk-ant|AKIA|ASIA|eyJ|SG\.|hooks\.|webhooks|telegram|:[0-9a-f]{32}|-H"
			+ @"\s|-hash|ntlm|/pth|aesKey|[/\\][\w.$-]{1,60}:[^\s/:@]+@|sudo|\bsu\s|smb|winrm|wmi|rdp|netexec|nxc|cr"
			+ @"ackmapexec|ccrypt|ccencrypt|\bzip\s|7z|\brar\s|BEGIN");

		/// <summary>
		/// Replace the passwords, tokens and keys in a text that may be a command line with <c>***</c>. It knows the
		/// usual ways to give them, and can't know all.
		/// </summary>
		public static string Mask(string text)
		{
			if (!Hints.IsMatch(text))
				return text;
			foreach (Regex pattern in Patterns)
				text = pattern.Replace(text, "$1***");
			return text;
		}

		private static Regex Cased(string pattern)
		{
			return new Regex(pattern, RegexOptions.CultureInvariant);
		}

		private static Regex Any(string pattern)
		{
			return new Regex(pattern, RegexOptions.CultureInvariant | RegexOptions.IgnoreCase);
		}

		private static Regex Across(string pattern)
		{
			return new Regex(pattern, RegexOptions.CultureInvariant | RegexOptions.Singleline);
		}
	}
}
