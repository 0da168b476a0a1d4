import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { MetricsFile } from '../../../lib/training/metrics-file.js';
import { temporaryFolder } from '../support/temporary.js';

const text = (...lines: object[]) => lines.map((line) => `${JSON.stringify(line)}\n`).join('');

describe('MetricsFile', () => {
  it('keeps the lines up to a step, and cuts off later and torn ones', async () => {
    const path = join(await temporaryFolder(), 'metrics.jsonl');
    await writeFile(path, `${text({ step: 2, a: 1 }, { step: 4, a: 2 }, { step: 6, a: 3 })}{"step":8,"a`);
    const file = await MetricsFile.open(path, ({ step }) => step <= 4);
    expect(file.kept).toEqual([
      { step: 2, a: 1 },
      { step: 4, a: 2 },
    ]);
    await file.append([{ step: 5, a: 9 }]);
    expect(await readFile(path, 'utf8')).toBe(text({ step: 2, a: 1 }, { step: 4, a: 2 }, { step: 5, a: 9 }));
  });

  it('makes no file before there is a line', async () => {
    const path = join(await temporaryFolder(), 'metrics.jsonl');
    const file = await MetricsFile.open(path, () => false);
    await file.append([]);
    await expect(readFile(path)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('loses no line when the file cannot even be made at first', async () => {
    const path = join(await temporaryFolder(), 'missing', 'metrics.jsonl');
    const file = await MetricsFile.open(path, () => false);
    for (const step of [1, 2])
      await expect(file.append([{ step }])).rejects.toMatchObject({ code: 'ERR_SAN_OUTPUT' });
    await mkdir(dirname(path));
    await file.append([{ step: 3 }]);
    expect(await readFile(path, 'utf8')).toBe(text({ step: 1 }, { step: 2 }, { step: 3 }));
  });

  it('loses no line while it cannot be written', async () => {
    const path = join(await temporaryFolder(), 'metrics.jsonl');
    const file = await MetricsFile.open(path, () => false);
    await file.append([{ step: 1 }]);
    const before = await readFile(path);
    await rm(path);
    await mkdir(path);
    for (const step of [2, 3]) {
      await expect(file.append([{ step }])).rejects.toMatchObject({ code: 'ERR_SAN_OUTPUT' });
    }
    await rm(path, { recursive: true });
    // As a full disk leaves it: the line cut somewhere.
    await writeFile(path, `${before}{"st`);
    await chmod(path, 0o600);
    await file.append([{ step: 4 }]);
    expect(await readFile(path, 'utf8')).toBe(text({ step: 1 }, { step: 2 }, { step: 3 }, { step: 4 }));
  });
});
