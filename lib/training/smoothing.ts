/** A point of a curve. */
export type Point = [step: number, value: number];

/** The smoothed line averages over about this part of the run to each side. */
const SMOOTHING = 60;

/** Mean weighted by an exponential that falls off to both sides, so that the line does not lag behind the values. */
export function smoothed(points: readonly Point[]): Point[] {
  const values = points.map(([, value]) => value);
  const before = fading(values);
  const after = fading(values.toReversed()).reverse();
  return points.map(([step, value], i) => {
    const [left, right] = [before[i] as Fading, after[i] as Fading];
    return [step, (left.sum + right.sum - value) / (left.weight + right.weight - 1)];
  });
}

interface Fading {
  sum: number;
  weight: number;
}

/** For each value, the sum of it and all before it, the farther the fainter. */
function fading(values: readonly number[]): Fading[] {
  const decay = 1 - 1 / Math.max(1, values.length / SMOOTHING);
  let [sum, weight] = [0, 0];
  return values.map((value) => {
    sum = decay * sum + value;
    weight = decay * weight + 1;
    return { sum, weight };
  });
}
