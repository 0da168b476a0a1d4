import { existsSync, readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { loadAddon } from '../../lib/native.js';
import { compareGolden, failures, GROUPS } from '../golden/compare.js';
import { root } from './support.js';

const own = `${root}test/golden/small.safetensors`;
const sharedFolder = `${root}../shared/spec/golden`;
const shared = existsSync(sharedFolder)
  ? readdirSync(sharedFolder)
      .filter((name) => name.endsWith('.safetensors'))
      .map((name) => `${sharedFolder}/${name}`)
  : [];
if (shared.length === 0)
  console.log(`no golden files in ${sharedFolder}: only the project's own is compared`);

describe.each([own, ...shared])('%s', (file) => {
  test.each(['float64', 'float32'] as const)('%s', async (dtype) => {
    const comparison = await compareGolden(loadAddon(), file, dtype);
    expect(failures(comparison, dtype)).toEqual([]);
    for (const group of GROUPS) expect(comparison[group].tensor, group).not.toBe('');
  });
});
