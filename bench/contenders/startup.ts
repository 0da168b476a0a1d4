/** The time from San.load to the first image, each time in a fresh process, once the addon is loaded. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { OpenContender } from '../worker.js';

const PROGRAM = `
const begin = performance.now();
const { San } = await import(process.argv[1]);
const { loadAddon } = await import(process.argv[2]);
loadAddon();
const loaded = performance.now();
const san = await San.load(process.argv[3]);
await san.generate({ seed: 1, count: 1 });
const drawn = performance.now();
await san.dispose();
console.log(JSON.stringify({ load: (loaded - begin) / 1000, image: (drawn - loaded) / 1000, kilobytes: process.resourceUsage().maxRSS }));
`;

const moduleUrl = (path: string): string => new URL(`../../lib/${path}`, import.meta.url).href;

export async function open(options: Record<string, unknown>): Promise<OpenContender> {
  const { checkpoint } = options as { checkpoint: string };
  const modules = [moduleUrl('index.js'), moduleUrl('native.js')];
  return {
    facts: {},
    async round(items) {
      let load = 0;
      let image = 0;
      let kilobytes = 0;
      for (let i = 0; i < items; i++) {
        const { stdout } = await promisify(execFile)(process.execPath, [
          '--input-type=module',
          '-e',
          PROGRAM,
          ...modules,
          checkpoint,
        ]);
        const times = JSON.parse(stdout) as { load: number; image: number; kilobytes: number };
        load += times.load;
        image += times.image;
        kilobytes = Math.max(kilobytes, times.kilobytes);
      }
      return {
        seconds: image,
        items,
        peakMemory: kilobytes * 1024,
        notes: { 'seconds until the addon is loaded': load / items },
      };
    },
    close: async () => {},
  };
}
