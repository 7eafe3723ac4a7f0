// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Text;
using System.Text.RegularExpressions;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.CommandLine
{
/// <summary>What a command line or path in the registry starts, and what is suspicious about it.</summary>
/// <remarks>The rules look at where a program lies and how it gets its code, never at its name.</remarks>
public sealed class CommandLine
{
	private const RegexOptions Options =
		RegexOptions.IgnoreCase | RegexOptions.CultureInvariant | RegexOptions.Singleline;

	private static readonly Regex InProfile = new Regex(@"^[a-z]:\\users\\[^\\]+\\", Options);

	// Where every account may create files by default, or where downloads and temporary files are.
	private static readonly Regex Shared = new Regex(
		@"^[a-z]:\\(users\\public\\|windows\\temp\\|windows\\tasks\\|windows\\tracing\\|temp\\|perflogs\\|" +
		@"\$recycle\.bin\\|programdata\\[^\\]*$|users\\[^\\]+\\(appdata\\local\\temp|downloads)\\)", Options);

	// The same anywhere in a command. Not an account's Temp: installers clean up there with RunOnce.
	private static readonly Regex SharedArgument = new Regex(
		@"(?<![a-z])[a-z]:\\(?:users\\public|windows\\(?:temp|tasks|tracing)|perflogs|\$recycle\.bin)\\", Options);

	private static readonly Regex ShortName = new Regex(@"\\[^\\]{1,6}~\d", Options);

	private static readonly Regex Remote = new Regex(@"^\\\\(?![?.]\\)[^\\]+\\", Options);

	// A script in the command itself, or one fetched from elsewhere: T1059, T1218, T1105.
	private static readonly Regex Inline = new Regex(
		@"\bhttps?://|\b(?:javascript|vbscript):|\s[-/\u2013-\u2015]e(?:c|n[a-z]*)?[\s:]+[""']?[a-z0-9+/=]{24,}|" +
		@"\bfrombase64string\b|[a-z0-9+/]{120,}={0,2}", Options);

	// What may be a shorter script: PowerShell ignores blanks in it, which quotation marks let it have.
	private static readonly Regex Encoded = new Regex(
		@"\s[-/\u2013-\u2015]e(?:c|n[a-z]*)?[\s:]+(?:[""'](?<code>[a-z0-9+/=\s]{4,})(?:[""']|\z)|" +
		@"(?<code>[a-z0-9+/=]{4,}))", Options);

	// FILE.TXT:STREAM, but not C:\ and no ??:\ prefix.
	private static readonly Regex Stream = new Regex(@"^[a-z]:\\[^:""]*[^\\:""]:[^\\:""]+$", Options);

	private static readonly Regex Extension = new Regex(
		@"^(.+?\.(?:exe|com|bat|cmd|pif|scr|sys|dll|ocx|cpl|vbs|vbe|js|jse|wsf|hta|ps1|msc|msi))(?:[\s,]|$)",
		Options);

	/// <summary>The whole text with variables replaced.</summary>
	public readonly string Text;

	/// <summary>The program's or library's path; a bare name where the search path decides.</summary>
	public readonly string Program;

	/// <summary>The program stands in quotation marks.</summary>
	public readonly bool IsQuoted;

	private CommandLine(string text, string program, bool isQuoted)
	{
		Text = text;
		Program = program;
		IsQuoted = isQuoted;
	}

	/// <summary>Read a command. systemRoot: C:\Windows. expand: replaces %NAME%.</summary>
	public static CommandLine Parse(string text, string systemRoot, Func<string, string> expand)
	{
		string command = expand(text ?? "").Trim();
		if (command.StartsWith("\"", StringComparison.Ordinal))
		{
			int end = command.IndexOf('"', 1);
			string quoted = end < 0 ? command.Substring(1) : command.Substring(1, end - 1);
			return new CommandLine(command, Absolute(quoted, systemRoot), true);
		}
		Match match = Extension.Match(command);
		string program = match.Success ? match.Groups[1].Value : FirstWord(command);
		return new CommandLine(command, Absolute(program, systemRoot), false);
	}

	/// <summary>Say whether an account's own profile holds the program.</summary>
	public bool IsInProfile
	{
		get { return InProfile.IsMatch(Program); }
	}

	/// <summary>Say whether the path has names as MS-DOS wrote them (PROGRA~1), which may lead anywhere.</summary>
	public bool HasShortName
	{
		get { return ShortName.IsMatch(Program); }
	}

	/// <summary>
	/// Return what is suspicious as a clause such as "it lies in ...", null when nothing is. severity: high, or
	/// medium where ordinary programs do it, too.
	/// </summary>
	public string Suspicion(out string severity)
	{
		severity = "high";
		if (Remote.IsMatch(Program))
			return "it is loaded from another computer";
		if (Stream.IsMatch(Program))
			return "it is hidden in an alternate data stream";
		if (Inline.IsMatch(Text) || HasEncodedCode(Text))
			return "its code is in the command itself or fetched from elsewhere";
		if (Shared.IsMatch(Program))
			return "it lies where every account may write files";
		severity = "medium";
		if (Program.StartsWith(@"\\?\", StringComparison.Ordinal))
			return "it is named by a device, which hides where it lies";
		return SharedArgument.IsMatch(Resolve(Text))
			? "its arguments name a file where every account may write files"
			: null;
	}

	/// <summary>
	/// Return the programs that Windows tries before the intended one, because blanks in the path are not in
	/// quotation marks (CreateProcess, lpApplicationName). T1574.009.
	/// </summary>
	public IList<string> Hijacks()
	{
		List<string> programs = new List<string>();
		// The kernel loads a driver by exactly this name.
		if (IsQuoted || Program.Length < 3 || Program[1] != ':' || Text[0] == '\\')
			return programs;
		for (int blank = Program.IndexOf(' '); blank > 0; blank = Program.IndexOf(' ', blank + 1))
			programs.Add(Program.Substring(0, blank) + ".exe");
		return programs;
	}

	// The arguments of other programs' -e do not decode to text, of which each second byte is 0 in UTF-16.
	private static bool HasEncodedCode(string text)
	{
		for (Match match = Encoded.Match(text); match.Success; match = match.NextMatch())
		{
			try
			{
				if (IsCode(Convert.FromBase64String(match.Groups["code"].Value)))
					return true;
			}
			catch (FormatException)
			{
				// PowerShell refuses it, too.
			}
		}
		return false;
	}

	// Half is enough: letters beyond ASCII hide no command.
	private static bool IsCode(byte[] decoded)
	{
		int ascii = 0;
		foreach (char character in Encoding.Unicode.GetString(decoded))
			ascii += (character >= ' ' && character <= '~') || (character >= '\t' && character <= '\r') ? 1 : 0;
		return ascii > 0 && decoded.Length % 2 == 0 && 4 * ascii >= decoded.Length;
	}

	private static string FirstWord(string command)
	{
		int end = command.IndexOfAny(new[] { ' ', '\t', ',' });
		return end < 0 ? command : command.Substring(0, end);
	}

	// Drivers are named as the kernel sees them, or below the Windows directory.
	private static string Absolute(string program, string systemRoot)
	{
		string path = program.Trim().Replace("\"", "").Replace('/', '\\');
		bool isNative = path.StartsWith(@"\??\", StringComparison.Ordinal);
		if (isNative || path.StartsWith(@"\\?\", StringComparison.Ordinal) ||
			path.StartsWith(@"\\.\", StringComparison.Ordinal))
		{
			string rest = path.Substring(4);
			bool isDrive = rest.Length > 1 && rest[1] == ':';
			bool isRemote = rest.StartsWith(@"UNC\", StringComparison.OrdinalIgnoreCase);
			path = isDrive ? rest : isRemote ? "\\" + rest.Substring(3) : @"\\?\" + rest;
		}
		if (path.StartsWith(@"\SystemRoot\", StringComparison.OrdinalIgnoreCase))
			path = systemRoot + path.Substring(11);
		else if (path.StartsWith(@"system32\", StringComparison.OrdinalIgnoreCase) ||
			path.StartsWith(@"SysWOW64\", StringComparison.OrdinalIgnoreCase))
			path = systemRoot + "\\" + path;
		return path.Length > 2 && path[1] == ':' && path[2] == '\\' ? Resolve(path) : path;
	}

	// By the text alone, as Windows does: . and .., and blanks and dots at the end of a name.
	private static string Resolve(string path)
	{
		List<string> names = new List<string>();
		foreach (string part in path.Replace("\"", "").Replace('/', '\\').Split('\\'))
		{
			string name = part.TrimEnd(' ', '.');
			if (part.Trim() == "..")
			{
				bool isDrive = names.Count == 0 || names[names.Count - 1].EndsWith(":", StringComparison.Ordinal);
				names.RemoveRange(names.Count - (isDrive ? 0 : 1), isDrive ? 0 : 1);
			}
			else if (name.Length > 0)
			{
				names.Add(name);
			}
		}
		return string.Join("\\", names.ToArray());
	}
}
}
