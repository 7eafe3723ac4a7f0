// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Runtime.InteropServices;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Wmi
{
	/// <summary>One instance of a class. Properties: string, bool, long, double, byte[] or List of these.</summary>
	public sealed class WmiInstance
	{
		/// <summary>CLASS.KEY="x", as WMI writes it.</summary>
		public string RelativePath;
		public string Class;
		public Dictionary<string, object> Properties = new Dictionary<string, object>();
	}

	/// <summary>What a query came to (WBEMSTATUS of wbemcli.h).</summary>
	public static class WmiStatus
	{
		/// <summary>There are more than the limit.</summary>
		public const int More = 0x40010;
		public const int TimedOut = 0x40004;
		public const int InvalidClass = unchecked((int)0x80041010);

		public static string Describe(int status)
		{
			switch (unchecked((uint)status))
			{
				case More:
					return "there are too many";
				case TimedOut:
					return "WMI does not answer in time";
				case 0x80041003:
					return "access is denied";
				case 0x8004100E:
					return "there is no such namespace";
				case 0x80041010:
					return "there is no such class";
				default:
					return "WMI returned error 0x" + status.ToString("X8");
			}
		}
	}

	/// <summary>A session with WMI, for one thread.</summary>
	public interface IWmi : IDisposable
	{
		/// <summary>The state of the service Winmgmt: 4 is running, 1 stopped, 0 not known. Starts nothing.</summary>
		int ServiceState();

		/// <summary>
		/// Add the instances of a class and of those derived from it in a namespace (root\cimv2), up to a limit.
		/// Return 0 when these are all, otherwise a <see cref="WmiStatus"/> or another HRESULT.
		/// </summary>
		int Instances(string path, string name, int limit, IList<WmiInstance> instances);
	}

	/// <summary>WMI of this host, by the vtables of its COM interfaces.</summary>
	public sealed class NativeWmi : IWmi
	{
		// Positions in the vtables of IWbemLocator, IWbemServices, IEnumWbemClassObject and IWbemClassObject.
		private const int ConnectServerSlot = 3;
		private const int ExecQuerySlot = 20;
		private const int EnumNextSlot = 4;
		private const int GetSlot = 4;
		private const int BeginEnumerationSlot = 8;
		private const int NextSlot = 9;

		// At most two minutes instead of for ever (WBEM_FLAG_CONNECT_USE_MAX_WAIT).
		private const int MaxWait = 0x80;

		// WBEM_FLAG_RETURN_IMMEDIATELY, WBEM_FLAG_FORWARD_ONLY and WBEM_FLAG_ENSURE_LOCATABLE.
		private const int SemiSynchronous = 0x10 | 0x20 | 0x100;
		private const int NonSystemOnly = 0x40;
		private const int NoMoreData = 0x40005;
		private const int NextMilliseconds = 5000;

		private static readonly Guid LocatorClass = new Guid("4590f811-1d3a-11d0-891f-00aa004b2e24");
		private static readonly Guid LocatorInterface = new Guid("dc12a687-737f-11cf-884d-00aa004b2e24");

		private string _path;
		private IntPtr _services;

		private delegate int ConnectServer(
			IntPtr self, [MarshalAs(UnmanagedType.BStr)] string path, IntPtr user, IntPtr password, IntPtr locale,
			int flags, IntPtr authority, IntPtr context, out IntPtr services);

		private delegate int ExecQuery(
			IntPtr self, [MarshalAs(UnmanagedType.BStr)] string language, [MarshalAs(UnmanagedType.BStr)] string query,
			int flags, IntPtr context, out IntPtr instances);

		private delegate int EnumNext(IntPtr self, int milliseconds, int count, out IntPtr instance, out int returned);

		private delegate int BeginEnumeration(IntPtr self, int flags);

		private delegate int Next(
			IntPtr self, int flags, [MarshalAs(UnmanagedType.BStr)] out string name,
			[MarshalAs(UnmanagedType.Struct)] out object value, IntPtr type, IntPtr flavor);

		private delegate int Get(
			IntPtr self, [MarshalAs(UnmanagedType.LPWStr)] string name, int flags,
			[MarshalAs(UnmanagedType.Struct)] out object value, IntPtr type, IntPtr flavor);

		[DllImport("ole32.dll")]
		private static extern int CoInitializeEx(IntPtr reserved, int model);

		[DllImport("ole32.dll")]
		private static extern int CoCreateInstance(
			ref Guid type, IntPtr outer, int context, ref Guid wanted, out IntPtr instance);

		[DllImport("ole32.dll")]
		private static extern int CoSetProxyBlanket(
			IntPtr proxy, int authentication, int authorization, IntPtr principal, int level, int impersonation,
			IntPtr identity, int capabilities);

		[DllImport("advapi32.dll", CharSet = CharSet.Unicode, ExactSpelling = true)]
		private static extern IntPtr OpenSCManagerW(string machine, string database, int access);

		[DllImport("advapi32.dll", CharSet = CharSet.Unicode, ExactSpelling = true)]
		private static extern IntPtr OpenServiceW(IntPtr manager, string name, int access);

		// SERVICE_STATUS: seven numbers, of which the second is the state.
		[DllImport("advapi32.dll")]
		private static extern bool QueryServiceStatus(IntPtr service, [Out] int[] status);

		[DllImport("advapi32.dll")]
		private static extern bool CloseServiceHandle(IntPtr handle);

		public int ServiceState()
		{
			int[] status = new int[7];
			IntPtr manager = OpenSCManagerW(null, null, 1);
			IntPtr service = OpenServiceW(manager, "Winmgmt", 4);
			bool isKnown = service != IntPtr.Zero && QueryServiceStatus(service, status);
			CloseServiceHandle(service);
			CloseServiceHandle(manager);
			return isKnown ? status[1] : 0;
		}

		public int Instances(string path, string name, int limit, IList<WmiInstance> instances)
		{
			int status = Connect(path);
			IntPtr list = IntPtr.Zero;
			if (status == 0)
			{
				status = Slot<ExecQuery>(_services, ExecQuerySlot)(
					_services, "WQL", "SELECT * FROM " + name, SemiSynchronous, IntPtr.Zero, out list);
			}
			if (status != 0)
				return status;
			try
			{
				Authenticate(list);
				EnumNext next = Slot<EnumNext>(list, EnumNextSlot);
				for (int count = 0; count <= limit; count++)
				{
					IntPtr instance;
					int returned;
					status = next(list, NextMilliseconds, 1, out instance, out returned);
					if (returned == 0)
						return status == 1 ? 0 : status;
					try
					{
						status = count < limit ? Read(instance, instances) : WmiStatus.More;
					}
					finally
					{
						Marshal.Release(instance);
					}
					if (status != 0)
						return status;
				}
				return 0;
			}
			finally
			{
				Marshal.Release(list);
			}
		}

		public void Dispose()
		{
			if (_services != IntPtr.Zero)
				Marshal.Release(_services);
			_services = IntPtr.Zero;
			_path = null;
		}

		private int Connect(string path)
		{
			if (path == _path)
				return 0;
			Dispose();
			// Multithreaded. A thread that was initialized otherwise can call as well.
			CoInitializeEx(IntPtr.Zero, 0);
			Guid type = LocatorClass;
			Guid wanted = LocatorInterface;
			IntPtr locator;
			// In this process.
			int status = CoCreateInstance(ref type, IntPtr.Zero, 1, ref wanted, out locator);
			if (status != 0)
				return status;
			status = Slot<ConnectServer>(locator, ConnectServerSlot)(
				locator, path, IntPtr.Zero, IntPtr.Zero, IntPtr.Zero, MaxWait, IntPtr.Zero, IntPtr.Zero, out _services);
			Marshal.Release(locator);
			if (status == 0)
			{
				Authenticate(_services);
				_path = path;
			}
			return status;
		}

		// NTLM or Kerberos, encrypted as some namespaces demand, as the account itself. Fails on what is no proxy.
		private static void Authenticate(IntPtr proxy)
		{
			CoSetProxyBlanket(proxy, 10, 0, IntPtr.Zero, 6, 3, IntPtr.Zero, 0);
		}

		private static int Read(IntPtr pointer, IList<WmiInstance> instances)
		{
			WmiInstance instance = new WmiInstance();
			instances.Add(instance);
			Get get = Slot<Get>(pointer, GetSlot);
			object value;
			if (get(pointer, "__RELPATH", 0, out value, IntPtr.Zero, IntPtr.Zero) == 0)
				instance.RelativePath = value as string;
			if (get(pointer, "__CLASS", 0, out value, IntPtr.Zero, IntPtr.Zero) == 0)
				instance.Class = value as string;
			string name;
			Next next = Slot<Next>(pointer, NextSlot);
			int status = Slot<BeginEnumeration>(pointer, BeginEnumerationSlot)(pointer, NonSystemOnly);
			while (status == 0)
			{
				status = next(pointer, 0, out name, out value, IntPtr.Zero, IntPtr.Zero);
				if (status == 0)
					instance.Properties[name] = Plain(value);
			}
			return status == NoMoreData ? 0 : status;
		}

		private static object Plain(object value)
		{
			if (value == null || value is DBNull)
				return null;
			if (value is string || value is bool || value is double || value is byte[])
				return value;
			if (value is float)
				return (double)(float)value;
			Array elements = value as Array;
			if (elements == null)
				return value is IConvertible ? (object)Convert.ToInt64(value) : value.GetType().Name;
			List<object> list = new List<object>();
			foreach (object element in elements)
				list.Add(Plain(element));
			return list;
		}

		private static T Slot<T>(IntPtr pointer, int slot) where T : class
		{
			IntPtr method = Marshal.ReadIntPtr(Marshal.ReadIntPtr(pointer), slot * IntPtr.Size);
			return (T)(object)Marshal.GetDelegateForFunctionPointer(method, typeof(T));
		}
	}
}
