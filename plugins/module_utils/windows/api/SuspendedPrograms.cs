// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.api.SuspendedPrograms
{
	/// <summary>Processes that never run an instruction. Methods return 0 or a Win32 error.</summary>
	public interface ISuspendedPrograms : IDisposable
	{
		/// <summary>
		/// Make a process, suspended, as the child of <paramref name="parent"/> (0: of this process). It ends with this
		/// process, or when this object is disposed.
		/// </summary>
		int Start(string program, string line, int parent, out int id);

		/// <summary>End a process that this object made, and wait for that.</summary>
		int End(int id);

		/// <summary>
		/// End all processes whose program is below a directory, such as those of a run that was killed while it made one.
		/// </summary>
		void EndBelow(string directory);
	}

	/// <summary>Processes of this host, in a job that ends them with this process.</summary>
	public sealed class NativeSuspendedPrograms : ISuspendedPrograms
	{
		// winbase.h
		private const int CreateSuspended = 0x4;
		private const int ExtendedStartupInfoPresent = 0x80000;
		private const int CreateNoWindow = 0x8000000;
		private const int ProcThreadAttributeParentProcess = 0x20000;

		// winnt.h
		private const int JobObjectExtendedLimitInformation = 9;
		private const int JobObjectLimitKillOnJobClose = 0x2000;
		private const int ProcessTerminate = 0x1;
		private const int ProcessQueryLimitedInformation = 0x1000;
		private const int Synchronize = 0x100000;

		private const int WaitMilliseconds = 5000;
		private const int LongestPath = 32768;

		[StructLayout(LayoutKind.Sequential)]
		private struct StartupInfoEx
		{
			public int Size;
			public IntPtr Reserved;
			public IntPtr Desktop;
			public IntPtr Title;
			public int X;
			public int Y;
			public int Width;
			public int Height;
			public int CharsX;
			public int CharsY;
			public int FillAttribute;
			public int Flags;
			public short ShowWindow;
			public short Reserved2Size;
			public IntPtr Reserved2;
			public IntPtr Input;
			public IntPtr Output;
			public IntPtr Error;
			public IntPtr Attributes;
		}

		[StructLayout(LayoutKind.Sequential)]
		private struct ProcessInformation
		{
			public IntPtr Process;
			public IntPtr Thread;
			public int ProcessId;
			public int ThreadId;
		}

		[StructLayout(LayoutKind.Sequential)]
		private struct ExtendedLimits
		{
			public long ProcessTime;
			public long JobTime;
			public int LimitFlags;
			public UIntPtr LeastWorkingSet;
			public UIntPtr MostWorkingSet;
			public int ActiveProcesses;
			public UIntPtr Affinity;
			public int PriorityClass;
			public int SchedulingClass;
			public ulong ReadOperations;
			public ulong WriteOperations;
			public ulong OtherOperations;
			public ulong ReadBytes;
			public ulong WriteBytes;
			public ulong OtherBytes;
			public UIntPtr ProcessMemory;
			public UIntPtr JobMemory;
			public UIntPtr PeakProcessMemory;
			public UIntPtr PeakJobMemory;
		}

		[DllImport("kernel32.dll", CharSet = CharSet.Unicode, SetLastError = true)]
		private static extern IntPtr CreateJobObjectW(IntPtr security, string name);

		[DllImport("kernel32.dll", SetLastError = true)]
		private static extern bool SetInformationJobObject(IntPtr job, int kind, ref ExtendedLimits limits, int size);

		[DllImport("kernel32.dll", SetLastError = true)]
		private static extern bool IsProcessInJob(IntPtr process, IntPtr job, out bool isIn);

		[DllImport("kernel32.dll", SetLastError = true)]
		private static extern bool AssignProcessToJobObject(IntPtr job, IntPtr process);

		// https://learn.microsoft.com/windows/win32/api/processthreadsapi/nf-processthreadsapi-updateprocthreadattribute
		[DllImport("kernel32.dll", SetLastError = true)]
		private static extern bool InitializeProcThreadAttributeList(
			IntPtr list, int count, int flags, ref IntPtr size);

		[DllImport("kernel32.dll", SetLastError = true)]
		private static extern bool UpdateProcThreadAttribute(
			IntPtr list, int flags, IntPtr attribute, IntPtr value, IntPtr size, IntPtr previous, IntPtr returned);

		[DllImport("kernel32.dll")]
		private static extern void DeleteProcThreadAttributeList(IntPtr list);

		[DllImport("kernel32.dll", CharSet = CharSet.Unicode, SetLastError = true)]
		private static extern bool CreateProcessW(
			string program, StringBuilder line, IntPtr processSecurity, IntPtr threadSecurity, bool inheritHandles,
			int flags, IntPtr environment, string directory, ref StartupInfoEx startup, out ProcessInformation made);

		[DllImport("kernel32.dll", SetLastError = true)]
		private static extern bool TerminateProcess(IntPtr process, int code);

		[DllImport("kernel32.dll", SetLastError = true)]
		private static extern int WaitForSingleObject(IntPtr handle, int milliseconds);

		[DllImport("kernel32.dll")]
		private static extern bool CloseHandle(IntPtr handle);

		[DllImport("kernel32.dll", SetLastError = true)]
		private static extern IntPtr OpenProcess(int access, bool inherit, int id);

		[DllImport("kernel32.dll", CharSet = CharSet.Unicode, SetLastError = true)]
		private static extern bool QueryFullProcessImageNameW(
			IntPtr process, int flags, StringBuilder path, ref int size);

		private readonly Dictionary<int, IntPtr> _made = new Dictionary<int, IntPtr>();
		private IntPtr _job;

		public int Start(string program, string line, int parent, out int id)
		{
			id = 0;
			int error = _job == IntPtr.Zero ? MakeJob() : 0;
			if (error != 0)
				return error;
			return parent == 0
				? Make(program, line, IntPtr.Zero, out id)
				: MakeBelow(_made[parent], program, line, out id);
		}

		public int End(int id)
		{
			IntPtr process = _made[id];
			_made.Remove(id);
			int error = Terminate(process);
			CloseHandle(process);
			return error;
		}

		public void EndBelow(string directory)
		{
			foreach (Process running in Process.GetProcesses())
			{
				using (running)
				{
					IntPtr process = OpenProcess(
						ProcessTerminate | ProcessQueryLimitedInformation | Synchronize, false, running.Id);
					if (process == IntPtr.Zero)
						continue;
					if (PathOf(process).StartsWith(directory + "\\", StringComparison.OrdinalIgnoreCase))
						Terminate(process);
					CloseHandle(process);
				}
			}
		}

		public void Dispose()
		{
			foreach (int id in new List<int>(_made.Keys))
				End(id);
			if (_job != IntPtr.Zero)
				CloseHandle(_job);
			_job = IntPtr.Zero;
		}

		private int MakeJob()
		{
			IntPtr job = CreateJobObjectW(IntPtr.Zero, null);
			if (job == IntPtr.Zero)
				return Marshal.GetLastWin32Error();
			ExtendedLimits limits = new ExtendedLimits();
			limits.LimitFlags = JobObjectLimitKillOnJobClose;
			if (!SetInformationJobObject(
				job, JobObjectExtendedLimitInformation, ref limits, Marshal.SizeOf(typeof(ExtendedLimits))))
			{
				int error = Marshal.GetLastWin32Error();
				CloseHandle(job);
				return error;
			}
			_job = job;
			return 0;
		}

		private int MakeBelow(IntPtr parent, string program, string line, out int id)
		{
			id = 0;
			IntPtr size = IntPtr.Zero;
			// Fails, and says the size.
			InitializeProcThreadAttributeList(IntPtr.Zero, 1, 0, ref size);
			IntPtr attributes = Marshal.AllocHGlobal(size);
			// The list has its address until it is deleted.
			IntPtr value = Marshal.AllocHGlobal(IntPtr.Size);
			bool isMade = false;
			try
			{
				Marshal.WriteIntPtr(value, parent);
				isMade = InitializeProcThreadAttributeList(attributes, 1, 0, ref size);
				if (!isMade || !UpdateProcThreadAttribute(
					attributes, 0, new IntPtr(ProcThreadAttributeParentProcess), value, new IntPtr(IntPtr.Size),
					IntPtr.Zero, IntPtr.Zero))
					return Marshal.GetLastWin32Error();
				return Make(program, line, attributes, out id);
			}
			finally
			{
				if (isMade)
					DeleteProcThreadAttributeList(attributes);
				Marshal.FreeHGlobal(attributes);
				Marshal.FreeHGlobal(value);
			}
		}

		private int Make(string program, string line, IntPtr attributes, out int id)
		{
			id = 0;
			StartupInfoEx startup = new StartupInfoEx();
			startup.Size = Marshal.SizeOf(typeof(StartupInfoEx));
			startup.Attributes = attributes;
			ProcessInformation made;
			if (!CreateProcessW(
				program, new StringBuilder(line), IntPtr.Zero, IntPtr.Zero, false,
				CreateSuspended | CreateNoWindow | ExtendedStartupInfoPresent, IntPtr.Zero, Environment.SystemDirectory,
				ref startup, out made))
				return Marshal.GetLastWin32Error();
			CloseHandle(made.Thread);
			// A child of one that is in the job is there already.
			bool isIn;
			if ((!IsProcessInJob(made.Process, _job, out isIn) || !isIn)
				&& !AssignProcessToJobObject(_job, made.Process))
			{
				int error = Marshal.GetLastWin32Error();
				Terminate(made.Process);
				CloseHandle(made.Process);
				return error;
			}
			id = made.ProcessId;
			_made[id] = made.Process;
			return 0;
		}

		private static int Terminate(IntPtr process)
		{
			if (!TerminateProcess(process, 0))
				return Marshal.GetLastWin32Error();
			return WaitForSingleObject(process, WaitMilliseconds) == -1 ? Marshal.GetLastWin32Error() : 0;
		}

		private static string PathOf(IntPtr process)
		{
			StringBuilder path = new StringBuilder(LongestPath);
			int size = path.Capacity;
			return QueryFullProcessImageNameW(process, 0, path, ref size) ? path.ToString() : "";
		}
	}
}
