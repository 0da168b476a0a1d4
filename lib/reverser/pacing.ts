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
  return filledUp(best ?? [0, last], count, difference, turns);
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
    if (turns.due()) await turns.take();
    const from = at++;
    while (at < last && difference(from, at + 1) <= step) {
      at++;
      if (turns.due()) await turns.take();
    }
  }
  return taken;
}

/** Two points that are shown, one after the other, with others between them. */
interface Gap {
  from: number;
  to: number;
  change: number;
}

/** With points between those that are furthest apart, of equals the longest gap first, until there are `count`. */
async function filledUp(
  taken: readonly number[],
  count: number,
  difference: Difference,
  turns: Turns,
): Promise<number[]> {
  const all = [...taken];
  const gap = (from: number, to: number): Gap[] =>
    to - from > 1 ? [{ from, to, change: difference(from, to) }] : [];
  const gaps = taken.slice(1).flatMap((to, i) => gap(taken[i] as number, to));
  gaps.sort((a, b) => (isSooner(a, b) ? 1 : -1));
  while (all.length < count) {
    if (turns.due()) await turns.take();
    const { from, to } = gaps.pop() as Gap;
    const at = middle(from, to, difference);
    all.push(at);
    for (const half of [...gap(from, at), ...gap(at, to)]) gaps.splice(placeOf(half, gaps), 0, half);
  }
  return all.sort((a, b) => a - b);
}

function isSooner(a: Gap, b: Gap): boolean {
  if (a.change !== b.change) return a.change > b.change;
  const longer = a.to - a.from - (b.to - b.from);
  return longer > 0 || (longer === 0 && a.from < b.from);
}

/** Where it belongs among gaps of which the next to be filled is the last. */
function placeOf(gap: Gap, gaps: readonly Gap[]): number {
  let [low, high] = [0, gaps.length];
  while (low < high) {
    const half = (low + high) >> 1;
    if (isSooner(gap, gaps[half] as Gap)) low = half + 1;
    else high = half;
  }
  return low;
}

/** The point between two whose larger difference to them is smallest; of equals the one nearest to their middle. */
function middle(from: number, to: number, difference: Difference): number {
  let best = { at: from + 1, larger: Number.POSITIVE_INFINITY };
  const aside = (at: number) => Math.abs(2 * at - from - to);
  for (let at = from + 1; at < to; at++) {
    const larger = Math.max(difference(from, at), difference(at, to));
    if (larger < best.larger || (larger === best.larger && aside(at) < aside(best.at))) best = { at, larger };
  }
  return best.at;
}
