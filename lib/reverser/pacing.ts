/**
 * The points on a way, from 0 to 1, at which equal shares of all its changes lie between neighbours: `count` of them,
 * 2 or more, ends included. `changes[k]` is the change from k / changes.length to the next; even points where there is
 * none at all.
 */
export function evenFractions(changes: ArrayLike<number>, count: number): number[] {
  const sums = [0];
  for (let k = 0; k < changes.length; k++) sums.push((sums[k] as number) + (changes[k] as number));
  const total = sums[changes.length] as number;
  const fractions = [0];
  let k = 0;
  for (let i = 1; i < count - 1; i++) {
    const wanted = (total * i) / (count - 1);
    while (k < changes.length - 1 && (sums[k + 1] as number) < wanted) k++;
    const within = total === 0 ? 0 : (wanted - (sums[k] as number)) / (changes[k] as number);
    fractions.push(total === 0 ? i / (count - 1) : (k + within) / changes.length);
  }
  return [...fractions, 1];
}
