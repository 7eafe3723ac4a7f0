// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.ComponentModel;
using System.Globalization;
using System.IO;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.event_log.LogFiles
{
/// <summary>Files of event logs; methods raise IOException and UnauthorizedAccessException.</summary>
public static class LogFiles
{
	private const int MostFiles = 10000;

	/// <summary>Return the archived logs beside a channel's log, the oldest first.</summary>
	public static List<string> Archives(string logPath)
	{
		List<string> files = new List<string>();
		string directory = string.IsNullOrEmpty(logPath) ? null : Path.GetDirectoryName(logPath);
		if (string.IsNullOrEmpty(directory) || !Directory.Exists(directory))
			return files;
		// "Archive-Security-2026-01-31-13-59-59-999.evtx": the order of the names is that of time.
		string pattern = "Archive-" + Path.GetFileNameWithoutExtension(logPath) + "-*.evtx";
		files.AddRange(Directory.GetFiles(directory, pattern));
		files.Sort(StringComparer.OrdinalIgnoreCase);
		return files;
	}

	/// <summary>Return the .evtx files of a directory and below it, or the path itself if it is none.</summary>
	public static List<string> Below(string path)
	{
		List<string> files = new List<string>();
		if (!Directory.Exists(path))
		{
			files.Add(path);
			return files;
		}
		Stack<string> waiting = new Stack<string>();
		waiting.Push(path);
		while (waiting.Count > 0)
		{
			string directory = waiting.Pop();
			files.AddRange(Directory.GetFiles(directory, "*.evtx"));
			if (files.Count > MostFiles)
				throw new IOException("there are more than " + MostFiles + " files; name directories with fewer");
			foreach (string below in Directory.GetDirectories(directory))
			{
				// A junction may lead back up.
				if ((File.GetAttributes(below) & FileAttributes.ReparsePoint) == 0)
					waiting.Push(below);
			}
		}
		files.Sort(StringComparer.OrdinalIgnoreCase);
		return files;
	}

	/// <summary>Open a log that others may write.</summary>
	public static Stream Open(string path)
	{
		return new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, 1 << 16);
	}
}

/// <summary>Win32 errors of the event log (winerror.h) as sentences.</summary>
public static class LogErrors
{
	private const int AccessDenied = 5;
	private const int ChannelNotFound = 15007;
	private const int ServiceNotActive = 1062;
	private const int ServerUnavailable = 1722;
	private const int CallFailed = 1726;
	private const int CallFailedNotExecuted = 1727;
	private const int EndpointNotRegistered = 1753;

	/// <summary>Say whether the host has no such channel.</summary>
	public static bool IsNotFound(int error)
	{
		return error == ChannelNotFound;
	}

	/// <summary>Say whether the service of the event log does not run.</summary>
	public static bool IsStopped(int error)
	{
		return error == ServiceNotActive || error == ServerUnavailable || error == CallFailed ||
			error == CallFailedNotExecuted || error == EndpointNotRegistered;
	}

	/// <summary>Return the sentence, without a full stop.</summary>
	public static string Describe(int error)
	{
		if (IsNotFound(error))
			return "the host has no such channel";
		if (IsStopped(error))
			return "the service Windows Event Log (EventLog) does not run";
		if (error == AccessDenied)
			return "access is denied: connect as an administrator";
		return new Win32Exception(error).Message.TrimEnd('.', ' ') + " (error "
			+ error.ToString(CultureInfo.InvariantCulture) + ")";
	}
}
}
