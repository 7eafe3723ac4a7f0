// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.ComponentModel;
using System.IO;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.StateErrors
{
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Errors;

	/// <summary>Errors of Windows as sentences.</summary>
	public static class StateErrors
	{
		private const int AccessDenied = 5;
		private const int WriteProtected = 19;
		private const int SharingViolation = 32;
		private const int HandleDiskFull = 39;
		private const int DiskFull = 112;
		private const int InvalidOwner = 1307;
		private const int DiskQuotaExceeded = 1295;

		/// <summary>Say whether an exception is one of the file system's, which <see cref="Explain"/> takes.</summary>
		public static bool IsExpected(Exception error)
		{
			return error is IOException || error is UnauthorizedAccessException || error is Win32Exception;
		}

		/// <summary>Say whether another program, as a virus scanner, may have the file open for a moment.</summary>
		public static bool IsTransient(Exception error)
		{
			return Code(error) == AccessDenied || Code(error) == SharingViolation;
		}

		/// <summary>Return the exception to throw instead, which names the path and says what to do.</summary>
		public static StateException Explain(string path, Exception error)
		{
			switch (Code(error))
			{
				case HandleDiskFull:
				case DiskFull:
				case DiskQuotaExceeded:
					return new StateException(
						"no space left to write " + path + ": free some space; the former content is unchanged", error);
				case AccessDenied:
				case WriteProtected:
					return new StateException(
						path + " cannot be used: " + error.Message.TrimEnd('.', ' ')
						+ ": make it writable, or set another state_dir; the former content is unchanged",
						error);
				case InvalidOwner:
					return new StateException(
						path + " cannot be made: the account is no administrator; connect as an administrator", error);
				default:
					return new StateException(path + " cannot be used: " + error.Message, error);
			}
		}

		// The Win32 error code (System Error Codes) of an exception, 0 where it has none.
		private static int Code(Exception error)
		{
			Win32Exception native = error as Win32Exception;
			if (native != null)
				return native.NativeErrorCode;
			if (error is UnauthorizedAccessException)
				return AccessDenied;
			// HRESULT_FROM_WIN32: 0x8007 and the code.
			return ((uint)error.HResult >> 16) == 0x8007 ? error.HResult & 0xFFFF : 0;
		}
	}
}
