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
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Errors;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Printable;

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

	/// <summary>Raise UsageException for a path that is not absolute.</summary>
	public static void Check(IEnumerable<string> paths)
	{
		foreach (string path in paths)
		{
			bool isRooted = path.IndexOfAny(Path.GetInvalidPathChars()) < 0 && Path.IsPathRooted(path);
			if (!isRooted)
				throw new UsageException("paths: '" + Printable.ShowPath(path) + "' is no absolute path; give one");
		}
	}

	/// <summary>Return the .evtx files of a directory and below it, or the path itself if it is none.</summary>
	/// <param name="skip">Called with what is below and is not read, and the reason.</param>
	public static List<string> Below(string path, Action<string, string> skip)
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
			try
			{
				foreach (string file in Directory.GetFiles(directory, "*.evtx"))
				{
					if (!IsLink(file, skip))
						files.Add(file);
				}
				foreach (string below in Directory.GetDirectories(directory))
				{
					if (!IsLink(below, skip))
						waiting.Push(below);
				}
			}
			catch (Exception error)
			{
				// Whoever denies access to one directory must not hide the others.
				if (directory == path || !(error is IOException || error is UnauthorizedAccessException))
					throw;
				skip(directory, "cannot be read: " + error.Message);
			}
			if (files.Count > MostFiles)
				throw new IOException("there are more than " + MostFiles + " files; name directories with fewer");
		}
		files.Sort(StringComparer.OrdinalIgnoreCase);
		return files;
	}

	/// <summary>Open a log that others may write.</summary>
	public static Stream Open(string path)
	{
		try
		{
			// A small buffer: the beginnings of all chunks are read before the chunks are.
			return new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, 512);
		}
		catch (Exception error)
		{
			// A file may have the name of a device (con.evtx), or one that .NET does not take.
			if (error is ArgumentException || error is NotSupportedException)
				throw new IOException(error.Message, error);
			throw;
		}
	}

	// A junction may lead back up, and a link to a file to another host, which would be signed in to.
	private static bool IsLink(string path, Action<string, string> skip)
	{
		try
		{
			if ((File.GetAttributes(path) & FileAttributes.ReparsePoint) == 0)
				return false;
		}
		catch (Exception error)
		{
			// Opening it says why.
			if (error is IOException || error is UnauthorizedAccessException)
				return false;
			throw;
		}
		skip(path, "is a link, which is not followed; name what it leads to in paths");
		return true;
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
