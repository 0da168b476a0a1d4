/** Nearest neighbours among latents, by plain comparison: exact, and quick enough for a million. */
import { Turns } from '../turns.js';

export interface Neighbor {
  /** Row of the references. */
  index: number;
  /** Root mean square of the differences of the numbers: about 1.4 between two draws of the prior. */
  distance: number;
}

export interface NearestOptions {
  /** Numbers in a row, of `queries` as of `references`. */
  width: number;
  /** Neighbours of each query, at most. */
  count: number;
  /** Row of the references that is the query itself and does not count. */
  self?: (query: number) => number;
  signal?: AbortSignal | undefined;
  onProgress?: (done: number, total: number) => void;
}

/** For each row of `queries` the nearest rows of `references`, nearest first; of equals the first row. */
export async function nearest(
  queries: Float32Array,
  references: Float32Array,
  { width, count, self = () => -1, signal, onProgress }: NearestOptions,
): Promise<Neighbor[][]> {
  const total = queries.length / width;
  const rows = references.length / width;
  const found: Neighbor[][] = [];
  const turns = new Turns(signal);
  for (let q = 0; q < total; q++) {
    const query = queries.subarray(q * width, (q + 1) * width);
    const own = self(q);
    const best: Neighbor[] = [];
    for (let r = 0; r < rows; r++) {
      if (r % 4096 === 0 && turns.due()) {
        onProgress?.(q, total);
        await turns.take();
      }
      if (r === own) continue;
      const limit = best.length < count ? Number.POSITIVE_INFINITY : (best[count - 1] as Neighbor).distance;
      const distance = squaredDistance(query, references, r * width, limit);
      if (distance < limit) insert(best, { index: r, distance }, count);
    }
    found.push(best.map(({ index, distance }) => ({ index, distance: Math.sqrt(distance / width) })));
  }
  return found;
}

/** Stops early once it is beyond `limit`. */
function squaredDistance(query: Float32Array, all: Float32Array, offset: number, limit: number): number {
  let sum = 0;
  for (let i = 0; i < query.length; ) {
    const end = Math.min(query.length, i + 32);
    for (; i < end; i++) {
      const difference = (query[i] as number) - (all[offset + i] as number);
      sum += difference * difference;
    }
    if (sum > limit) return sum;
  }
  return sum;
}

function insert(best: Neighbor[], neighbor: Neighbor, count: number): void {
  let at = best.length;
  while (at > 0 && (best[at - 1] as Neighbor).distance > neighbor.distance) at--;
  best.splice(at, 0, neighbor);
  if (best.length > count) best.pop();
}
