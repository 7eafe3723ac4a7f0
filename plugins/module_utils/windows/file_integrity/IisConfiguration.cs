// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.IO;
using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.IisConfiguration
{
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Files;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Model;

/// <summary>Tells the libraries in applicationHost.config from sites and pools, which change with deployments.
/// </summary>
public static class IisConfiguration
{
	private const int Largest = 8 << 20;
	private const int Seconds = 5;

	// As text, of every site, in comments too; what declares or includes other text counts likewise.
	private static readonly Regex Code = new Regex(
		@"<(globalModules|modules|isapiFilters|handlers)\b(?:[^>]*/>|.*?</\1\s*>)|<!(?:DOCTYPE|ENTITY)[^>]*>|" +
		@"<configSections\b.*?</configSections\s*>|\bconfigSource\s*=\s*[^>]*>",
		RegexOptions.Singleline | RegexOptions.CultureInvariant,
		// Of elements without end it would read the rest again for each.
		TimeSpan.FromSeconds(Seconds));

	public static bool IsOf(string path)
	{
		return path.EndsWith(@"\inetsrv\config\applicationHost.config", StringComparison.OrdinalIgnoreCase);
	}

	/// <summary>
	/// Return the digest of the parts that name modules, filters and handlers; null when it cannot be read.
	/// </summary>
	public static string CodeDigest(IOpenFile file, long size)
	{
		byte[] data = new byte[size > Largest ? 0 : size];
		int position = 0;
		byte[] buffer = new byte[64 * 1024];
		int count;
		while (position < data.Length && file.Read(position, buffer, out count) == 0 && count > 0)
		{
			Buffer.BlockCopy(buffer, 0, data, position, Math.Min(count, data.Length - position));
			position += count;
		}
		if (data.Length == 0 || position < data.Length)
			return null;
		StringBuilder code = new StringBuilder();
		Deadline deadline = new Deadline(Seconds);
		using (StreamReader reader = new StreamReader(new MemoryStream(data), Encoding.UTF8, true))
		{
			try
			{
				foreach (Match match in Code.Matches(reader.ReadToEnd()))
				{
					code.Append(match.Value).Append('\n');
					if (deadline.Passed)
						return null;
				}
			}
			catch (RegexMatchTimeoutException)
			{
				return null;
			}
		}
		using (SHA256 hash = SHA256.Create())
		{
			byte[] digest = hash.ComputeHash(Encoding.UTF8.GetBytes(code.ToString()));
			return BitConverter.ToString(digest).Replace("-", "").ToLowerInvariant();
		}
	}
}
}
