// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.ComponentModel;
using System.IO;
using System.Threading;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.simulation.SimulationHost
{
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.EventWriter;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.StateFiles;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.SuspendedPrograms;

	/// <summary>What a simulation needs of the host it is done on. Errors are those of IStateFiles.</summary>
	public interface ISimulationHost : IDisposable
	{
		/// <summary>The program of Windows that all others are copies of; it prints one line, if it ever runs.</summary>
		string Program { get; }

		/// <summary>The profile that all accounts share.</summary>
		string PublicDirectory { get; }

		ISuspendedPrograms Programs { get; }
		IEventWriter Events { get; }

		/// <summary>Seconds since the epoch.</summary>
		double Now { get; }

		/// <summary>Return a name that nobody can guess.</summary>
		string Token();

		/// <summary>Make a directory that only SYSTEM and Administrators may use; false when the name exists.</summary>
		bool MakeDirectory(string path);

		/// <summary>Make a file with the content of another one; an error when the name exists.</summary>
		void Copy(string from, string to);

		/// <summary>Remove a file or an empty directory; false when there is none.</summary>
		bool Remove(string path);
	}

	/// <summary>This host.</summary>
	public sealed class NativeSimulationHost : ISimulationHost
	{
		// A virus scanner may have a new program open for some time.
		private const int Attempts = 40;
		private const int Poll = 50;
		private const int PathNotFound = 3;

		private readonly NativeStateFiles _files = new NativeStateFiles();
		private readonly NativeSuspendedPrograms _programs = new NativeSuspendedPrograms();
		private readonly NativeEventWriter _events = new NativeEventWriter();

		public string Program
		{
			get { return Environment.SystemDirectory + "\\hostname.exe"; }
		}

		public string PublicDirectory
		{
			get
			{
				return Path.GetDirectoryName(
					Environment.GetFolderPath(Environment.SpecialFolder.CommonDesktopDirectory));
			}
		}

		public ISuspendedPrograms Programs
		{
			get { return _programs; }
		}

		public IEventWriter Events
		{
			get { return _events; }
		}

		public double Now
		{
			get { return (DateTime.UtcNow - new DateTime(1970, 1, 1, 0, 0, 0, DateTimeKind.Utc)).TotalSeconds; }
		}

		public string Token()
		{
			return Guid.NewGuid().ToString("N").Substring(0, 12);
		}

		public bool MakeDirectory(string path)
		{
			return _files.CreateDirectory(path);
		}

		public void Copy(string from, string to)
		{
			FileAttributes attributes;
			using (Stream source = _files.OpenRead(from, out attributes))
			{
				if (source == null)
					throw new FileNotFoundException(from + " is missing");
				using (FileStream target = _files.CreateNew(to))
					source.CopyTo(target);
			}
		}

		public bool Remove(string path)
		{
			for (int attempt = 1; ; attempt++)
			{
				try
				{
					return Directory.Exists(path) ? _files.RemoveDirectory(path) : _files.Delete(path);
				}
				catch (Win32Exception error)
				{
					if (error.NativeErrorCode == PathNotFound)
						return false;
					if (attempt == Attempts)
						throw;
				}
				Thread.Sleep(Poll);
			}
		}

		public void Dispose()
		{
			_programs.Dispose();
		}
	}
}
