/** Seconds of the clock, or of all processors together. */
export type Time = 'clock' | 'processor';

/** Begins now; the function tells the seconds since. */
export function stopwatch(time: Time): () => number {
  if (time === 'clock') {
    const begin = performance.now();
    return () => (performance.now() - begin) / 1000;
  }
  const begin = process.cpuUsage();
  return () => {
    const { user, system } = process.cpuUsage(begin);
    return (user + system) / 1e6;
  };
}
