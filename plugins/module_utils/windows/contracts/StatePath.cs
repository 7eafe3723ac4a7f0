// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.StatePath
{
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Errors;

	/// <summary>The directories that lead to state, as Windows names them.</summary>
	public static class StatePath
	{
		private const string Forbidden = "/:*?\"<>|";

		/// <summary>
		/// Return the directories from the drive's root to <paramref name="root"/>: C:\, C:\ProgramData,
		/// C:\ProgramData\bulwark. StateException for what is not an absolute path on a drive.
		/// </summary>
		public static List<string> Directories(string root)
		{
			bool isAbsolute = root.Length > 3 && Char.IsLetter(root[0]) && root[1] == ':' && root[2] == '\\';
			if (!isAbsolute)
				throw new StateException(
					root + " is no path on a local drive; set state_dir to an absolute one such as C:\\bulwark");
			List<string> directories = new List<string> { root.Substring(0, 3) };
			string path = root.Substring(0, 2);
			foreach (string part in root.Substring(3).TrimEnd('\\').Split('\\'))
			{
				if (!IsName(part))
					throw new StateException(
						root + " has the part '" + part + "', which is no name of a directory; set another state_dir");
				path += "\\" + part;
				directories.Add(path);
			}
			return directories;
		}

		/// <summary>Return the path of a file or directory; ArgumentException for a name that is none.</summary>
		public static string Join(string directory, string name)
		{
			if (!IsName(name))
				throw new ArgumentException("'" + name + "' is not the name of a file of state");
			return directory + "\\" + name;
		}

		private static bool IsName(string name)
		{
			if (name.Length == 0 || name.EndsWith(".", StringComparison.Ordinal)
				|| name.EndsWith(" ", StringComparison.Ordinal))
				return false;
			foreach (char unit in name)
			{
				if (unit < ' ' || unit == '\\' || Forbidden.IndexOf(unit) >= 0)
					return false;
			}
			return true;
		}
	}
}
