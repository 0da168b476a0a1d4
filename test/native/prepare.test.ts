/** `san-native prepare` as a process of its own: killed, broken off, two at a time. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { root } from './support.js';

/** How often the process is killed before it may finish. */
const KILLS = Number(process.env.SAN_NATIVE_KILLS ?? 3);
const IMAGES = 120;
let folder = '';

function prepare(out: string, ...args: string[]): ChildProcess {
  const line = ['prepare', 'photos', '--size', '64', '--out', out, ...args];
  return spawn(process.execPath, [join(root, 'bin/san-native.js'), ...line], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

async function outcome(child: ChildProcess): Promise<{ code: number | null; out: string; err: string }> {
  let [out, err] = ['', ''];
  child.stdout?.on('data', (chunk) => (out += chunk));
  child.stderr?.on('data', (chunk) => (err += chunk));
  const [code] = await once(child, 'close');
  return { code, out, err };
}

const bytes = (name: string) => readFileSync(join(folder, name));
const made = (name: string) => readdirSync(folder).filter((file) => file.startsWith(name));

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'san-native-test-'));
  mkdirSync(join(folder, 'photos'));
  const pixels = new Uint8Array(700 * 700 * 3);
  for (let i = 0; i < IMAGES; i++) {
    for (let j = 0; j < pixels.length; j++) pixels[j] = (j * (i + 3) + (j >> 8) * i) & 255;
    const file = await sharp(pixels, { raw: { width: 700, height: 700, channels: 3 } })
      .png({ compressionLevel: 1 })
      .toBuffer();
    // Every tenth is damaged.
    writeFileSync(join(folder, 'photos', `${i}.png`), i % 10 === 9 ? file.subarray(0, -5000) : file);
  }
  expect(await outcome(prepare('whole.npy'))).toMatchObject({ code: 0, err: '' });
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('killed at any moment, it finishes later with the same bytes', async () => {
  let went = 0;
  for (let kill = 0; kill < KILLS; kill++) {
    const child = prepare('killed.npy');
    const ended = outcome(child);
    await Promise.race([delay(200 + Math.random() * 2500), ended]);
    child.kill('SIGKILL');
    if ((await ended).code === 0) {
      // It was quicker: once more from the start.
      for (const file of made('killed.')) rmSync(join(folder, file));
      went++;
    }
  }
  const { code, err } = await outcome(prepare('killed.npy'));
  expect({ code, err }).toEqual({ code: 0, err: '' });
  expect(bytes('killed.npy').equals(bytes('whole.npy'))).toBe(true);
  const facts = (name: string) => ({ ...JSON.parse(bytes(name).toString()), file: undefined });
  expect(facts('killed.json')).toEqual(facts('whole.json'));
  expect(made('killed.').sort()).toEqual(['killed.json', 'killed.npy']);
  console.info(`killed ${KILLS - went} times before its end`);
});

test('SIGINT keeps what is done', async () => {
  const child = prepare('broken.npy');
  const ended = outcome(child);
  while (made('broken.').length < 2) await delay(20);
  await delay(300);
  child.kill('SIGINT');
  const { code, err } = await ended;
  if (code !== 0) {
    expect({ code, err }).toEqual({ code: 130, err: 'broken off; the same command goes on from here\n' });
    expect(made('broken.').sort()).toEqual(['broken.npy.journal', 'broken.npy.partial']);
  }
  expect((await outcome(prepare('broken.npy'))).code).toBe(0);
  expect(bytes('broken.npy').equals(bytes('whole.npy'))).toBe(true);
});

test('of two at once one is refused, and names the other', async () => {
  const first = prepare('two.npy');
  const firstEnded = outcome(first);
  while (!made('two.').includes('two.npy.lock')) await delay(10);
  // So that it is not done before the other has begun.
  first.kill('SIGSTOP');
  const second = await outcome(prepare('two.npy'));
  first.kill('SIGCONT');
  expect(second.code).toBe(1);
  expect(second.err).toContain(`two.npy is being written by process ${first.pid} on`);
  expect((await firstEnded).code).toBe(0);
});
