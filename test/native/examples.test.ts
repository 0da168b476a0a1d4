/** The programs in examples/, as a reader starts them. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { savePhotos } from './photos.js';
import { root } from './support.js';

const example = (name: string): string => join(root, 'dist/examples', `${name}.js`);
let folder = '';
let run = '';

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'san-native-test-'));
  run = join(folder, 'run');
  const photos = join(folder, 'photos');
  mkdirSync(photos);
  for (const [name, red] of [
    ['a', 20],
    ['b', 10],
  ] as const)
    await savePhotos(join(photos, name), red);
  const args = [example('train-and-generate'), photos, run, '2'];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  expect(stdout).toMatch(/^step 2\/2 .*^images \[ 16, 32, 32, 3 \] latents \[ 16, 64, 1, 1 \]$/ms);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('the service draws, turns away what it cannot draw, and ends in order on SIGTERM', async () => {
  const port = 20_000 + (process.pid % 10_000);
  const service = spawn(process.execPath, [example('serve'), run, String(port)]);
  let output = '';
  for (const stream of [service.stdout, service.stderr]) stream.on('data', (chunk) => (output += chunk));
  const ended = once(service, 'close');
  await Promise.race([once(service.stdout, 'data'), ended]);
  const get = (path: string) => fetch(`http://localhost:${port}${path}`);

  const answers = await Promise.all(
    ['/7.png?count=3', '/7.webp', '/7.gif', '//', '/7.png?count=65'].map(get),
  );
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 404, 404, 400]);
  const [three, one] = await Promise.all(answers.map(async (a) => Buffer.from(await a.arrayBuffer())));
  expect(await sharp(three).metadata()).toMatchObject({ format: 'png', width: 32, height: 96 });
  expect(await sharp(one).metadata()).toMatchObject({ format: 'webp', width: 32, height: 32 });

  // Most clients go, some are told to come again, and the service goes on.
  const some = Array.from({ length: 60 }, (_, i) =>
    fetch(
      `http://localhost:${port}/${i}.png?count=64`,
      i % 2 ? { signal: AbortSignal.timeout(20) } : {},
    ).then(
      async (answer) => {
        await answer.arrayBuffer();
        return answer.status;
      },
      () => 0,
    ),
  );
  for (const status of await Promise.all(some)) expect([0, 200, 503]).toContain(status);
  expect((await get('/7.png')).status).toBe(200);

  service.kill('SIGTERM');
  const [code] = await ended;
  expect(code, output).toBe(0);
  expect(output).toBe(`http://localhost:${port}/7.png?count=4\n`);
});
