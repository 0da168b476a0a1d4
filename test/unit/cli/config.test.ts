import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { main } from '../../../lib/cli/main.js';
import { configJsonSchema } from '../../../lib/config/json-schema.js';
import { temporaryFolder } from '../support/temporary.js';

/** What a command line prints on stdout when all goes well. */
async function printed(...argv: string[]): Promise<string> {
  let out = '';
  const spy = vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    out += text;
    return true;
  });
  try {
    expect(await main(argv)).toBe(0);
    return out;
  } finally {
    spy.mockRestore();
  }
}

describe('san-native train --print-config', () => {
  it('prints what --config takes, without data and addon', async () => {
    const folder = await temporaryFolder();
    const command = ['train', join(folder, 'none'), '--out', join(folder, 'run'), '--print-config'];
    const text = await printed(...command, '--preset', '64', '--w-gd', '0.5');
    expect(text).toMatch(/^imageSize: 64 +# preset 64$/m);
    expect(text).toMatch(/^wGD: 0\.5 +# flag --w-gd$/m);
    const file = join(folder, 'printed.yaml');
    await writeFile(file, text);
    const again = await printed(...command, '--config', file);
    const values = (yaml: string) => yaml.replace(/ +#.*$/gm, '');
    expect(values(again)).toBe(values(text));
    expect(again).toMatch(/^wGD: 0\.5 +# .*printed\.yaml$/m);
  });

  it('begins with the settings of a run that is continued', async () => {
    const folder = await temporaryFolder();
    const frozen = join(folder, 'config.json');
    await writeFile(frozen, '{"batchSize": 7}');
    const command = [
      'train',
      'none',
      '--out',
      folder,
      '--resume',
      '--print-config',
      '--json',
      '--steps',
      '9',
    ];
    expect(JSON.parse(await printed(...command))).toMatchObject({
      batchSize: { value: 7, source: frozen },
      steps: { value: 9, source: 'flag --steps' },
    });
  });
});

describe('san-native schema', () => {
  it('prints the JSON Schema of config files', async () => {
    expect(JSON.parse(await printed('schema'))).toEqual(configJsonSchema());
  });
});
