// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Globalization;
using System.IO;
using System.Threading;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.State
{
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.StateFiles;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Errors;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.StateAccess;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.StateErrors;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.StatePath;

	/// <summary>
	/// One capability's directory of state: private to SYSTEM and Administrators, locked, and each file replaced as a
	/// whole or not at all. Methods raise StateException, with one sentence for people. While it is open, nobody can
	/// rename it or a directory above it.
	/// </summary>
	public sealed class StateDirectory : IDisposable
	{
		private const int BufferSize = 1 << 20;
		private const int LockPoll = 100;

		// A virus scanner may have a new file open for some time: 20 * 100 ms.
		private const int ReplaceAttempts = 20;

		// From this attempt on, somebody is taken to read the former content.
		private const int AsideAttempts = 5;

		private readonly IStateFiles _files;
		private readonly List<IStateDirectoryHandle> _handles;

		/// <summary>ROOT\CAPABILITY.</summary>
		public readonly string Path;

		private StateDirectory(IStateFiles files, string path, List<IStateDirectoryHandle> handles)
		{
			_files = files;
			_handles = handles;
			Path = path;
		}

		/// <summary>
		/// Return where state is when state_dir is not set: %ProgramData%\bulwark. The environment has no say in it.
		/// </summary>
		public static string DefaultRoot()
		{
			return Environment.GetFolderPath(Environment.SpecialFolder.CommonApplicationData) + "\\bulwark";
		}

		/// <summary>
		/// Open ROOT\CAPABILITY, after verifying owner, DACL and the directories above; null when it does not exist
		/// and <paramref name="create"/> is false.
		/// </summary>
		public static StateDirectory Open(string root, string capability, bool create)
		{
			return Open(new NativeStateFiles(), root, capability, create);
		}

		/// <summary>Open ROOT\CAPABILITY by way of other files than those of Windows.</summary>
		public static StateDirectory Open(IStateFiles files, string root, string capability, bool create)
		{
			List<string> path = StatePath.Directories(root);
			int above = path.Count - 1;
			path.Add(StatePath.Join(path[above], capability));
			List<IStateDirectoryHandle> handles = new List<IStateDirectoryHandle>();
			bool isOpen = false;
			try
			{
				// From the top: each is looked at when nobody can exchange it any more.
				for (int index = 0; index < path.Count; index++)
				{
					IStateDirectoryHandle handle = OpenVerified(files, path[index], index, above, create && index > 0);
					if (handle == null)
						return null;
					handles.Add(handle);
				}
				isOpen = true;
				return new StateDirectory(files, path[path.Count - 1], handles);
			}
			finally
			{
				if (!isOpen)
					Close(handles);
			}
		}

		/// <summary>Return the content of a file, null when there is none.</summary>
		public byte[] Read(string name)
		{
			using (Stream stream = OpenRead(name))
			{
				if (stream == null)
					return null;
				MemoryStream content = new MemoryStream();
				try
				{
					stream.CopyTo(content);
				}
				catch (Exception error)
				{
					if (!StateErrors.IsExpected(error))
						throw;
					throw StateErrors.Explain(StatePath.Join(Path, name), error);
				}
				return content.ToArray();
			}
		}

		/// <summary>Open a file for reading, null when there is none. It stays as it is when it is replaced.</summary>
		public Stream OpenRead(string name)
		{
			string path = StatePath.Join(Path, name);
			FileAttributes attributes = 0;
			Stream stream = Explained(path, delegate
			{
				Stream current = OpenPatiently(path, out attributes);
				return current == null && attributes == 0 ? OpenPatiently(Former(path), out attributes) : current;
			});
			if (stream == null && attributes != 0)
				throw new DamagedException(
					path + " is not a regular file; find out who made it, and remove it");
			return stream;
		}

		/// <summary>Write a file durably; the former content stays when that fails. Needs the lock.</summary>
		public void Write(string name, byte[] content)
		{
			Replace(name, delegate(Stream stream) { stream.Write(content, 0, content.Length); });
		}

		/// <summary>
		/// Let <paramref name="write"/> fill what becomes the file, durably, when it returns. Needs the lock: the
		/// temporary file has a fixed name, so that the next run overwrites what a killed one left.
		/// </summary>
		public void Replace(string name, Action<Stream> write)
		{
			string path = StatePath.Join(Path, name);
			string temporary = StatePath.Join(Path, "." + name + ".tmp");
			Explained(path, delegate { return _files.Delete(temporary); });
			try
			{
				Explained(path, delegate { Fill(temporary, write); Rename(temporary, path); return true; });
			}
			catch
			{
				DeleteQuietly(temporary);
				throw;
			}
		}

		/// <summary>Remove a file; return whether it was there.</summary>
		public bool Remove(string name)
		{
			string path = StatePath.Join(Path, name);
			return Explained(path, delegate { return _files.Delete(Former(path)) | _files.Delete(path); });
		}

		public IList<string> Names()
		{
			return new List<string>(Modified().Keys);
		}

		/// <summary>Return the names of the files with their last write times (FILETIME).</summary>
		public Dictionary<string, long> Modified()
		{
			return Explained(Path, delegate { return _files.List(Path); });
		}

		/// <summary>
		/// Keep other writers out until the result is disposed; StateException after seconds. Readers need no lock: a
		/// writer replaces a name, never the content.
		/// </summary>
		public IDisposable Lock(string name, double seconds)
		{
			string path = StatePath.Join(Path, name);
			Stopwatch watch = Stopwatch.StartNew();
			while (true)
			{
				IDisposable held = Explained(path, delegate { return _files.TryLock(path); });
				if (held != null)
					return held;
				if (watch.Elapsed.TotalSeconds >= seconds)
					throw new StateException(
						"another run is writing in " + Path + " and did not end within "
						+ seconds.ToString("G6", CultureInfo.InvariantCulture)
						+ " s; wait for it, or raise lock_timeout");
				Thread.Sleep(LockPoll);
			}
		}

		/// <summary>Let others rename the directory again.</summary>
		public void Dispose()
		{
			Close(_handles);
		}

		private static void Close(List<IStateDirectoryHandle> handles)
		{
			for (int index = handles.Count - 1; index >= 0; index--)
				handles[index].Dispose();
			handles.Clear();
		}

		// Directories before the one with the number root are above the state; it and what is below is private.
		private static IStateDirectoryHandle OpenVerified(
			IStateFiles files, string path, int index, int root, bool create)
		{
			IStateDirectoryHandle handle = Explained(path, delegate
			{
				if (create)
					files.CreateDirectory(path);
				return files.OpenDirectory(path);
			});
			if (handle == null)
				return null;
			string problem = null;
			try
			{
				problem = FindProblem(files, handle, path, index, root);
			}
			finally
			{
				if (problem != null)
					handle.Dispose();
			}
			if (problem != null)
				throw new StateException(path + " " + problem);
			return handle;
		}

		private static string FindProblem(
			IStateFiles files, IStateDirectoryHandle handle, string path, int index, int root)
		{
			if ((handle.Attributes & FileAttributes.ReparsePoint) != 0)
				return "is a link or another reparse point, which is not followed; remove it, or set another state_dir";
			if ((handle.Attributes & FileAttributes.Directory) == 0)
				return "is not a directory; remove it, or set another state_dir";
			if (!string.Equals(handle.FinalPath, path, StringComparison.OrdinalIgnoreCase))
				return "is another name of " + handle.FinalPath + "; use that name in state_dir";
			if (index < root)
			{
				string above = StateAccess.AboveProblem(handle.Descriptor, files.UserSid, index == 0);
				return above == null
					? null
					: above + ", who could replace what is in it: correct the permissions, or set another state_dir";
			}
			string problem = StateAccess.PrivateProblem(handle.Descriptor, files.UserSid);
			return problem == null
				? null
				: problem + ", who could forge state: correct the permissions, or set another state_dir";
		}

		private void Fill(string temporary, Action<Stream> write)
		{
			using (FileStream file = _files.CreateNew(temporary))
			{
				BufferedStream buffered = new BufferedStream(file, BufferSize);
				write(buffered);
				buffered.Flush();
				file.Flush(true);
			}
		}

		// Windows denies a name for a moment while another run or a virus scanner has its former file: no tampering.
		private Stream OpenPatiently(string path, out FileAttributes attributes)
		{
			for (int attempt = 1; ; attempt++)
			{
				try
				{
					return _files.OpenRead(path, out attributes);
				}
				catch (Exception error)
				{
					if (attempt == ReplaceAttempts || !StateErrors.IsTransient(error))
						throw;
				}
				Thread.Sleep(LockPoll);
			}
		}

		private void Rename(string temporary, string path)
		{
			for (int attempt = 1; ; attempt++)
			{
				try
				{
					if (attempt >= AsideAttempts)
						MoveAside(temporary, path);
					else
						_files.Replace(temporary, path);
					return;
				}
				catch (Exception error)
				{
					if (attempt == ReplaceAttempts || !StateErrors.IsTransient(error))
						throw;
				}
				Thread.Sleep(LockPoll);
			}
		}

		// A name whose file is read cannot be replaced, only moved: a reader that takes long keeps the former content.
		// OpenRead finds it under its other name if this process is killed between the two.
		private void MoveAside(string temporary, string path)
		{
			string former = Former(path);
			_files.Replace(path, former);
			try
			{
				_files.Replace(temporary, path);
			}
			catch
			{
				_files.Replace(former, path);
				throw;
			}
			DeleteQuietly(former);
		}

		private static string Former(string path)
		{
			return path + ".former";
		}

		private void DeleteQuietly(string path)
		{
			try
			{
				_files.Delete(path);
			}
			catch (Exception error)
			{
				// The first error says what is wrong; the next run deletes the file.
				if (!StateErrors.IsExpected(error))
					throw;
			}
		}

		private static T Explained<T>(string path, Func<T> action)
		{
			try
			{
				return action();
			}
			catch (Exception error)
			{
				if (!StateErrors.IsExpected(error))
					throw;
				throw StateErrors.Explain(path, error);
			}
		}
	}
}
