/** Numbers in few characters, for the progress line. */
import { duration } from '../setup/progress.js';

const HOUR = 3600;
const UNITS = ['kB', 'MB', 'GB', 'TB'] as const;

const compact = new Intl.NumberFormat('en', { notation: 'compact', maximumSignificantDigits: 3 });

/** 19840 as "19.8k". */
export const count = (value: number): string => compact.format(value).replace('K', 'k');

/** Bytes as "640 MB" or "1.2 GB". */
export function bytes(value: number): string {
  let scaled = value / 1e3;
  let unit = 0;
  // From 999.5 on it would be shown as 1000.
  while (scaled >= 999.5 && unit < UNITS.length - 1) {
    scaled /= 1e3;
    unit++;
  }
  return `${rate(scaled)} ${UNITS[unit]}`;
}

/** One digit behind the point where there is only one before it. */
export const rate = (value: number): string => value.toFixed(value < 9.95 ? 1 : 0);

/** Three significant digits in at most eight characters: "0.0213", "1.00", "1234", "1.2e-7". */
export function significant(value: number): string {
  const size = Math.abs(value);
  if (!Number.isFinite(value) || value === 0) return String(value);
  if (size < 0.00995 || size >= 99_999.5) return value.toExponential(1);
  return size < 999.5 ? value.toPrecision(3) : value.toFixed(0);
}

/** "3 min 10 s", "2 h 05 min". */
export function longDuration(seconds: number): string {
  // From 3599.5 on it would be shown as 60 min 00 s.
  if (seconds < HOUR - 0.5) return duration(seconds);
  const minutes = Math.round(seconds / 60);
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, '0')} min`;
}
