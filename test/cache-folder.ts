/** Gives the tests, and all processes that they start, a cache of their own. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export default function setup(): (() => void) | undefined {
  // Each project runs this; the first one's folder serves all.
  if (process.env.SAN_NATIVE_CACHE?.startsWith(join(tmpdir(), PREFIX))) return undefined;
  const folder = mkdtempSync(join(tmpdir(), PREFIX));
  process.env.SAN_NATIVE_CACHE = folder;
  return () => rmSync(folder, { recursive: true, force: true });
}

const PREFIX = 'san-native-test-cache-';
