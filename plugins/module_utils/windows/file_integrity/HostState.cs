// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.IO;
using System.Threading;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.HostState
{
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Detections;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Errors;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.State;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Baseline;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Evidence;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Header;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Model;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Options;

/// <summary>What was read of the baseline on the host, and whether to believe it.</summary>
public sealed class Opened : IDisposable
{
	/// <summary>The file, for people.</summary>
	public string Path;

	/// <summary>Null unless there is one to believe.</summary>
	public Baseline Baseline;

	/// <summary>Why there is nothing to compare with; null when there is.</summary>
	public string Problem;

	/// <summary>The alert where that is itself suspicious.</summary>
	public string Alert;

	/// <summary>The digest of the file that is there.</summary>
	public string Seal;

	/// <summary>Say whether state on the host cannot be used, without anything that is suspicious.</summary>
	public bool IsUnusable;

	public Header Header
	{
		get { return Baseline == null ? null : Baseline.Header; }
	}

	public List<object> Detections(IList<string> expected)
	{
		List<object> detections = new List<object>();
		if (Alert != null && Problem != null)
			detections.Add(Evidence.SealDetection(Alert, Path, Problem, expected, Seal));
		return detections;
	}

	public void Dispose()
	{
		if (Baseline != null)
			Baseline.Dispose();
	}
}

/// <summary>The baseline on the host: its files, its lock, and whether to believe it.</summary>
public static class HostState
{
	public const string Capability = "file_integrity";
	public const string Tampered = "fim_baseline_tampered";
	public const string Removed = "fim_baseline_removed";

	/// <summary>Stands among the expected digests for a host that may have no baseline.</summary>
	public const string NoBaseline = "none";

	public const string NoSeal =
		"the controller holds no seal for the baseline on the host and does not know who made or edited it; review "
		+ "a comparison, then remove it with state=absent and take a new one with state=present";

	// Seconds that a controller has to note the seal of a staged baseline. Whoever takes longer was cut off.
	private const double SealedWithin = 30;
	private const int PollMilliseconds = 100;

	public static string FileName(Options options)
	{
		return options.Baseline + ".baseline";
	}

	public static string StagedName(Options options)
	{
		return options.Baseline + ".staged";
	}

	public static string Root(Options options)
	{
		return options.StateRoot ?? StateDirectory.DefaultRoot();
	}

	public static StateDirectory OpenState(Options options, bool create)
	{
		return StateDirectory.Open(Root(options), Capability, create);
	}

	/// <summary>
	/// Return the host's baseline, believed only when its seal is one that the controller holds. Raises
	/// StateException for one that cannot be read, unless the controller holds a seal.
	/// </summary>
	public static Opened Open(StateDirectory state, Options options)
	{
		Opened opened = new Opened();
		string directory = state == null ? Root(options) + "\\" + Capability : state.Path;
		opened.Path = directory + "\\" + FileName(options);
		Baseline baseline;
		try
		{
			baseline = Baseline.Open(state, FileName(options));
		}
		catch (DamagedException error)
		{
			if (!options.HasSeal)
				throw;
			opened.Problem = error.Message;
			opened.Alert = Tampered;
			return opened;
		}
		if (baseline == null)
		{
			bool isExpected = options.HasSeal && !options.Expected.Contains(NoBaseline);
			opened.Alert = isExpected ? Removed : null;
			opened.Problem = isExpected
				? "the baseline that the controller holds a seal for is not on the host any more"
				: "there is no baseline yet; run bulwark.servers.win_file_integrity to make one";
			return opened;
		}
		opened.Seal = baseline.Seal;
		if (options.HasSeal && !options.Expected.Contains(baseline.Seal))
		{
			baseline.Dispose();
			opened.Problem = "the baseline on the host is not the one that the controller sealed";
			opened.Alert = Tampered;
			return opened;
		}
		opened.Baseline = baseline;
		return opened;
	}

	/// <summary>
	/// Open the state directory and the baseline in it, or say what is wrong with where it should be. state: null
	/// where there is none, or none that can be trusted.
	/// </summary>
	public static Opened Look(Options options, out StateDirectory state)
	{
		state = null;
		try
		{
			state = OpenState(options, false);
			return Open(state, options);
		}
		catch (NewerException error)
		{
			return new Opened { Path = Root(options), Problem = error.Message, IsUnusable = true };
		}
		catch (StateException error)
		{
			string path = Root(options) + "\\" + Capability;
			string alert = options.HasSeal ? Tampered : null;
			return new Opened
			{
				Path = path, Problem = error.Message, Alert = alert, IsUnusable = alert == null
			};
		}
	}

	/// <summary>
	/// Keep other writers out until the result is disposed, also one between staging a baseline and letting it take
	/// its place. Raises StateException after lock_timeout.
	/// </summary>
	public static IDisposable Lock(StateDirectory state, Options options)
	{
		// Not by the clock, which somebody may set back.
		Deadline deadline = new Deadline(options.LockTimeout);
		while (true)
		{
			double left = Math.Max(0, options.LockTimeout - deadline.Elapsed);
			IDisposable held = state.Lock(options.Baseline + ".lock", left);
			if (!IsBeingSealed(state, options))
				return held;
			held.Dispose();
			if (deadline.Elapsed >= options.LockTimeout)
				throw new StateException(
					"another run is sealing a new baseline in " + state.Path + " and did not end within "
					+ options.LockTimeout + " s; wait for it, or raise lock_timeout");
			Thread.Sleep(PollMilliseconds);
		}
	}

	// Whoever can set this time can also remove the file.
	private static bool IsBeingSealed(StateDirectory state, Options options)
	{
		string path = state.Path + "\\" + StagedName(options);
		if (!File.Exists(path))
			return false;
		double age = (DateTime.UtcNow - File.GetLastWriteTimeUtc(path)).TotalSeconds;
		return age >= 0 && age < SealedWithin;
	}

	/// <summary>Return an empty temporary file in the state directory, gone once it is closed or the process ends.
	/// </summary>
	public static Stream Temporary(StateDirectory state)
	{
		string path = state.Path + "\\" + Guid.NewGuid().ToString("N") + ".tmp";
		return new FileStream(
			path, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.None, 1 << 16, FileOptions.DeleteOnClose);
	}
}
}
