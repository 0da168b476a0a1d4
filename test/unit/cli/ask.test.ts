import { mkdir, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { expect, it } from 'vitest';
import { askToResume, timeAgo } from '../../../lib/cli/ask.js';
import { temporaryFolder } from '../support/temporary.js';

/** A terminal whose user answers each question with the next of `answers`, and then leaves. */
function terminal(answers: readonly string[], isTTY = true) {
  const left = [...answers];
  const input = Object.assign(new PassThrough(), { isTTY });
  const output = Object.assign(new PassThrough(), { isTTY });
  let text = '';
  output.on('data', (chunk) => {
    text += chunk;
    if (!String(chunk).includes('[Y/n]')) return;
    const keys = left.shift();
    if (keys === undefined) input.end();
    else input.write(keys);
  });
  return { input, output, text: () => text };
}

async function runFolder(): Promise<string> {
  const path = join(await temporaryFolder(), 'run');
  await mkdir(join(path, 'checkpoints'), { recursive: true });
  await writeFile(join(path, 'config.json'), '{"steps": 2000}');
  const checkpoint = join(path, 'checkpoints/step-001200.safetensors');
  await writeFile(checkpoint, '');
  const time = Date.now() / 1000 - 200;
  await utimes(checkpoint, time, time);
  return path;
}

it.each([
  [['\n'], true],
  [['y\n'], true],
  [['Yes\n'], true],
  [['n\n'], false],
  [['what\n', 'no\n'], false],
  [[], false],
] as const)('answers of %j mean %j', async (answers, expected) => {
  const path = await runFolder();
  const there = terminal(answers);
  expect(await askToResume(path, there)).toBe(expected);
  expect(there.text()).toContain(
    `${path} holds a run (step 1200 of 2000, 3 minutes ago). Continue it? [Y/n] `,
  );
});

it('Ctrl-C is status 130', async () => {
  await expect(askToResume(await runFolder(), terminal(['\x03']))).rejects.toMatchObject({ status: 130 });
});

it('asks nobody where there is no terminal or no run', async () => {
  const piped = terminal(['y\n'], false);
  expect(await askToResume(await runFolder(), piped)).toBe(false);
  const there = terminal(['y\n']);
  expect(await askToResume(await temporaryFolder(), there)).toBe(false);
  expect(piped.text() + there.text()).toBe('');
});

it('tells ages in words', () => {
  expect([0, 59, 61, 7300, 200_000].map(timeAgo)).toEqual([
    '0 seconds ago',
    '59 seconds ago',
    '1 minute ago',
    '2 hours ago',
    '2 days ago',
  ]);
});
