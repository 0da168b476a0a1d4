import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { fields } from '../../../lib/config/fields.js';
import { PRESET_NAMES } from '../../../lib/config/presets.js';
import { presetLayer, resolveConfig } from '../../../lib/config/resolve.js';

const path = fileURLToPath(new URL('../../../docs/configuration.md', import.meta.url));
const KEYS = /(<!-- keys -->\n).*(<!-- \/keys -->)/s;

/** A table a group. */
function tables(): string {
  const groups = [...new Set(fields.map(({ group }) => group))];
  return groups
    .flatMap((group) => {
      const rows = fields
        .filter((field) => field.group === group)
        .map(({ key, default: value, expected, description }) => {
          const cells = [`\`${key}\``, value.replaceAll(',', ', '), expected, description];
          return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
        });
      return [
        `### ${group}`,
        '',
        '| key | default | value | meaning |',
        '| --- | --- | --- | --- |',
        ...rows,
        '',
      ];
    })
    .join('\n');
}

describe('docs/configuration.md', () => {
  it('lists every key with its default, range and meaning', async () => {
    const text = await readFile(path, 'utf8');
    expect(text).toMatch(KEYS);
    await expect(text.replace(KEYS, (_, begin, end) => `${begin}\n${tables()}\n${end}`)).toMatchFileSnapshot(
      path,
    );
  });

  it('has the presets as they are', async () => {
    const text = await readFile(path, 'utf8');
    const listed = [...text.matchAll(/^\| `(\w+)` \| (\d+)×\d+ \| (\d+) to (\d+) \| (\d+) \| ([\d,]+) \|/gm)];
    expect(listed.map(([, name]) => name)).toEqual([...PRESET_NAMES]);
    for (const [, name = '', size, least, most, batch, steps] of listed) {
      const config = resolveConfig([presetLayer(name)]);
      expect([config.imageSize, Math.min(...config.widths), Math.max(...config.widths)]).toEqual(
        [size, least, most].map(Number),
      );
      expect([config.batchSize, config.steps]).toEqual([Number(batch), Number(steps?.replaceAll(',', ''))]);
    }
  });

  it('has an example that resolves', async () => {
    const example = /```yaml\n(.*?)```/s.exec(await readFile(path, 'utf8'))?.[1] ?? '';
    expect(resolveConfig([{ source: '', values: parse(example) }]).keepBest).toBe('swd');
  });
});
