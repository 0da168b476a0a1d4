/** Our prepare(): a folder of image files into a .npy file, journal, hash and manifest included. */
import { prepare } from '../../lib/data/prepared/prepare.js';
import { stopwatch, type Time } from '../stopwatch.js';
import type { OpenContender } from '../worker.js';

export async function open(options: Record<string, unknown>): Promise<OpenContender> {
  const { source, out, imageSize, time } = options as {
    source: string;
    out: string;
    imageSize: number;
    time: Time;
  };
  const make = () => prepare({ source, out, imageSize, force: true });
  const { hash } = await make();
  return {
    facts: { hash },
    async round(items) {
      const seconds = stopwatch(time);
      let done = 0;
      while (done < items) done += (await make()).shape[0];
      return { seconds: seconds(), items: done };
    },
    close: async () => {},
  };
}
