/** Which points of a way to show, so that neighbours among them differ as evenly as they can. */
import { Turns } from '../turns.js';

/** How unlike two points are, by their places in order; a distance, so that no detour is shorter than the way. */
export type Difference = (a: number, b: number) => number;

/** Halvings of the range in which the step is looked for. */
const TRIALS = 20;

/**
 * `count` of `points` points in order, 2 <= count <= points, ends included.
 *
 * It is the direct differences of those shown that are made alike. Sums of the small changes between them would not do:
 * a way that wiggles has large sums where it gets nowhere. So the smallest step is looked for with which one comes from
 * the first point to the last in time, each time going as far as the step lets one. What changes at once by more than
 * that is a step of its own, and does not cost the others theirs. Where nothing changes at all the points are evenly spread.
 */
export async function evenlyApart(
  points: number,
  count: number,
  difference: Difference,
  signal?: AbortSignal,
): Promise<number[]> {
  const last = points - 1;
  const turns = new Turns(signal);
  let [sum, largest] = [0, 0];
  for (let i = 0; i < last; i++) {
    if (turns.due()) await turns.take();
    const change = difference(i, i + 1);
    sum += change;
    largest = Math.max(largest, change);
  }
  if (sum === 0) return Array.from({ length: count }, (_, i) => Math.round((i * last) / (count - 1)));
  // With so large a step each one takes its share of the sum at least.
  let low = 0;
  let high = sum / (count - 1) + largest;
  let best = await walk(last, high, count, difference, turns);
  for (let i = 0; i < TRIALS; i++) {
    const step = (low + high) / 2;
    const found = await walk(last, step, count, difference, turns);
    if (found === undefined) low = step;
    else [best, high] = [found, step];
  }
  return filledUp(best ?? [0, last], count, difference);
}

/** From 0 to `last`, each time as far as the difference stays within `step`; undefined if that takes over `most` points. */
async function walk(
  last: number,
  step: number,
  most: number,
  difference: Difference,
  turns: Turns,
): Promise<number[] | undefined> {
  const taken = [0];
  for (let at = 0; at < last; taken.push(at)) {
    if (taken.length === most) return undefined;
    const from = at++;
    while (at < last && difference(from, at + 1) <= step) {
      at++;
      if (turns.due()) await turns.take();
    }
  }
  return taken;
}

/** With points between those that are furthest apart, until there are `count`. */
function filledUp(taken: readonly number[], count: number, difference: Difference): number[] {
  const all = [...taken];
  const apart = (i: number) => difference(all[i] as number, all[i + 1] as number);
  while (all.length < count) {
    let widest = -1;
    for (let i = 0; i < all.length - 1; i++) {
      if ((all[i + 1] as number) - (all[i] as number) > 1 && (widest < 0 || apart(i) > apart(widest)))
        widest = i;
    }
    all.splice(widest + 1, 0, middle(all[widest] as number, all[widest + 1] as number, difference));
  }
  return all;
}

/** The point between two whose larger difference to them is smallest. */
function middle(from: number, to: number, difference: Difference): number {
  let best = { at: from + 1, larger: Number.POSITIVE_INFINITY };
  for (let at = from + 1; at < to; at++) {
    const larger = Math.max(difference(from, at), difference(at, to));
    if (larger < best.larger) best = { at, larger };
  }
  return best.at;
}
