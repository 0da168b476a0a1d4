/** Of some numbers, in ascending order the middle and the ends. */
export interface Spread {
  median: number;
  min: number;
  max: number;
}

/** The middle number, or the mean of the two in the middle; NaN of none. */
export function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  const half = sorted.length / 2;
  const at = (index: number) => sorted[index] ?? Number.NaN;
  return Number.isInteger(half) ? (at(half - 1) + at(half)) / 2 : at(Math.floor(half));
}

export const spreadOf = (numbers: readonly number[]): Spread => ({
  median: median(numbers),
  min: Math.min(...numbers),
  max: Math.max(...numbers),
});

/** Spread of a[i] / b[i]: of one round each, so that a machine that slows down slows both. */
export const ratiosOf = (a: readonly number[], b: readonly number[]): Spread =>
  spreadOf(a.map((value, i) => value / (b[i] ?? Number.NaN)));
