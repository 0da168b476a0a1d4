import { vi } from 'vitest';
import { main } from '../../../lib/cli/main.js';

/** Runs a command line as bin/ would and gathers what it says. */
export async function cli(...argv: string[]): Promise<{ status: number; out: string; err: string }> {
  const texts = { out: '', err: '' };
  const into = (key: keyof typeof texts) => (text: string | Uint8Array) => {
    texts[key] += text;
    return true;
  };
  const out = vi.spyOn(process.stdout, 'write').mockImplementation(into('out'));
  const err = vi.spyOn(process.stderr, 'write').mockImplementation(into('err'));
  const log = vi.spyOn(console, 'log').mockImplementation((text) => {
    texts.out += `${text}\n`;
  });
  try {
    return { status: await main(argv), ...texts };
  } finally {
    for (const spy of [out, err, log]) spy.mockRestore();
  }
}
