// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

//AssemblyReference -Name System.Numerics.dll -CLR Framework

using System;
using System.Globalization;
using System.Numerics;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.JsonNumber
{
	/// <summary>
	/// Doubles as text and back, exactly as Python does. .NET's own methods are not exact before .NET Core 3.0.
	/// </summary>
	public static class JsonNumber
	{
		private const int FractionBits = 52;
		private const int MinExponent = -1074;
		private const int MaxExponent = 1023;
		private const long HiddenBit = 1L << FractionBits;

		// Digits beyond these only decide whether it is more than a tie: no tie between doubles has more.
		private const int DigitsLimit = 800;

		// The quotient's bits: more than a double has, so that what is cut off decides the rounding.
		private const int QuotientBits = 64;

		/// <summary>Return the nearest double of a number as JSON writes it: -12.5e+3.</summary>
		public static double Parse(string number)
		{
			bool isNegative = number[0] == '-';
			int mark = number.IndexOfAny(new char[] { 'e', 'E' });
			string mantissa = (mark < 0 ? number : number.Substring(0, mark)).TrimStart('-');
			int exponent = mark < 0 ? 0 : ParseExponent(number.Substring(mark + 1));
			int point = mantissa.IndexOf('.');
			if (point >= 0)
				exponent -= mantissa.Length - point - 1;
			string digits = mantissa.Replace(".", "").TrimStart('0');
			if (digits.Length > DigitsLimit)
			{
				exponent += digits.Length - DigitsLimit - 1;
				digits = digits.Substring(0, DigitsLimit) + "1";
			}
			double value = Nearest(digits, exponent);
			return isNegative ? -value : value;
		}

		/// <summary>Write the shortest digits that are read as the same double, as Python's repr.</summary>
		public static string Write(double value)
		{
			if (Double.IsNaN(value))
				return "NaN";
			if (Double.IsInfinity(value))
				return value > 0 ? "Infinity" : "-Infinity";
			if (value == 0)
				return 1 / value < 0 ? "-0.0" : "0.0";
			int exponent;
			string digits = Shortest(Math.Abs(value), out exponent);
			return (value < 0 ? "-" : "") + Layout(digits, exponent);
		}

		private static int ParseExponent(string text)
		{
			int exponent;
			if (Int32.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out exponent))
				return Math.Max(-1000000, Math.Min(1000000, exponent));
			return text[0] == '-' ? -1000000 : 1000000;
		}

		private static double Nearest(string digits, int exponent)
		{
			if (digits.Length == 0 || digits.Length + exponent < -330)
				return 0;
			if (digits.Length + exponent > 330)
				return Double.PositiveInfinity;
			BigInteger numerator = BigInteger.Parse(digits, NumberStyles.None, CultureInfo.InvariantCulture);
			BigInteger denominator = BigInteger.One;
			if (exponent > 0)
				numerator *= BigInteger.Pow(10, exponent);
			else
				denominator = BigInteger.Pow(10, -exponent);
			int shift = QuotientBits - BitLength(numerator) + BitLength(denominator);
			if (shift > 0)
				numerator <<= shift;
			else
				denominator <<= -shift;
			BigInteger rest;
			BigInteger quotient = BigInteger.DivRem(numerator, denominator, out rest);
			return Round(quotient, shift, !rest.IsZero);
		}

		// The double nearest to quotient / 2^shift and a little more, ties to even (IEEE 754, 4.3.1).
		private static double Round(BigInteger quotient, int shift, bool hasRest)
		{
			int binary = BitLength(quotient) - 1 - shift;
			int precision = Math.Min(FractionBits + 1, binary - MinExponent + 1);
			if (precision < 0)
				return 0;
			int dropped = BitLength(quotient) - precision;
			BigInteger significand = quotient >> dropped;
			BigInteger below = quotient - (significand << dropped);
			int tie = below.CompareTo(BigInteger.One << (dropped - 1));
			long bits = (long)significand;
			if (tie > 0 || (tie == 0 && (hasRest || (bits & 1) == 1)))
				bits++;
			// A carry into the next power of two moves on into the exponent, as the fields lie side by side.
			if (precision == FractionBits + 1)
				bits += (long)(binary + MaxExponent - 1) << FractionBits;
			return binary > MaxExponent ? Double.PositiveInfinity : BitConverter.Int64BitsToDouble(bits);
		}

		private static int BitLength(BigInteger value)
		{
			byte[] bytes = value.ToByteArray();
			int last = bytes.Length - 1;
			while (last > 0 && bytes[last] == 0)
				last--;
			int bits = last * 8;
			for (int top = bytes[last]; top > 0; top >>= 1)
				bits++;
			return bits;
		}

		// Steele and White's free-format algorithm, as R. G. Burger and R. K. Dybvig wrote it in "Printing
		// Floating-Point Numbers Quickly and Accurately" (1996). The value is 0.DIGITS * 10^(exponent + 1).
		private static string Shortest(double value, out int exponent)
		{
			long bits = BitConverter.DoubleToInt64Bits(value);
			int field = (int)(bits >> FractionBits);
			long fraction = bits & (HiddenBit - 1);
			int binary = (field == 0 ? 1 : field) + MinExponent - 1;
			if (field > 0)
				fraction |= HiddenBit;
			// Below a power of two, the neighbour is only half as far away.
			bool isUneven = fraction == HiddenBit && field > 1;
			bool isEven = (fraction & 1) == 0;
			BigInteger rest = new BigInteger(fraction) << (Math.Max(binary, 0) + (isUneven ? 2 : 1));
			BigInteger scale = BigInteger.One << (Math.Max(-binary, 0) + (isUneven ? 2 : 1));
			BigInteger below = BigInteger.One << Math.Max(binary, 0);
			BigInteger above = isUneven ? below << 1 : below;

			int power = (int)Math.Ceiling(Math.Log10(value) - 1e-10);
			BigInteger factor = BigInteger.Pow(10, Math.Abs(power));
			if (power > 0)
				scale *= factor;
			else
			{
				rest *= factor;
				below *= factor;
				above *= factor;
			}
			int reaches = (rest + above).CompareTo(scale);
			if (reaches > 0 || (reaches == 0 && isEven))
			{
				power++;
				scale *= 10;
			}
			exponent = power - 1;
			return Generate(rest, scale, below, above, isEven);
		}

		private static string Generate(
			BigInteger rest, BigInteger scale, BigInteger below, BigInteger above, bool isEven)
		{
			System.Text.StringBuilder digits = new System.Text.StringBuilder(17);
			while (true)
			{
				int digit = (int)BigInteger.DivRem(rest * 10, scale, out rest);
				below *= 10;
				above *= 10;
				int low = rest.CompareTo(below);
				int high = (rest + above).CompareTo(scale);
				bool isLow = low < 0 || (low == 0 && isEven);
				bool isHigh = high > 0 || (high == 0 && isEven);
				if (isLow || isHigh)
				{
					int half = (rest * 2).CompareTo(scale);
					bool roundsUp = isHigh && (!isLow || half > 0 || (half == 0 && (digit & 1) == 1));
					return digits.Append((char)('0' + digit + (roundsUp ? 1 : 0))).ToString();
				}
				digits.Append((char)('0' + digit));
			}
		}

		private static string Layout(string digits, int exponent)
		{
			if (exponent < -4 || exponent >= 16)
			{
				string fraction = digits.Length > 1 ? "." + digits.Substring(1) : "";
				string power = Math.Abs(exponent).ToString("00", CultureInfo.InvariantCulture);
				return digits.Substring(0, 1) + fraction + "e" + (exponent < 0 ? "-" : "+") + power;
			}
			if (exponent < 0)
				return "0." + new string('0', -exponent - 1) + digits;
			if (digits.Length <= exponent + 1)
				return digits + new string('0', exponent + 1 - digits.Length) + ".0";
			return digits.Substring(0, exponent + 1) + "." + digits.Substring(exponent + 1);
		}
	}
}
