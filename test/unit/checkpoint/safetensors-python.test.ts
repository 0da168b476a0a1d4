/** Files are exchanged with the format's own Python package. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { encodeSafetensors, readSafetensors } from '../../../lib/checkpoint/safetensors.js';
import { findPython } from '../../native/python.js';
import { temporaryFolder } from '../support/temporary.js';
import { tensor, written } from './safetensors-files.js';

const python = findPython('numpy, safetensors', 'the exchange of files with safetensors');

describe.skipIf(python === undefined)('Python', () => {
  it('reads a file written here', async () => {
    const path = await written(
      Buffer.concat(
        encodeSafetensors(
          [
            tensor('名 "x"', [2, 2], Float32Array.of(1, 2, 3, 0.25)),
            tensor('scalar', [], Float64Array.of(Math.PI)),
            tensor('none', [0, 3], new Float32Array(0)),
          ],
          { step: '12', text: 'é\n' },
        ),
      ),
    );
    const script = `
import json, sys
from safetensors import safe_open
with safe_open(sys.argv[1], 'numpy') as f:
    tensors = {k: [str(f.get_tensor(k).dtype), list(f.get_tensor(k).shape), f.get_tensor(k).ravel().tolist()] for k in f.keys()}
    print(json.dumps([f.metadata(), tensors]))`;
    const output = execFileSync(python as string, ['-c', script, path], { encoding: 'utf8' });
    expect(JSON.parse(output)).toEqual([
      { step: '12', text: 'é\n' },
      {
        '名 "x"': ['float32', [2, 2], [1, 2, 3, 0.25]],
        scalar: ['float64', [], [Math.PI]],
        none: ['float32', [0, 3], []],
      },
    ]);
  });

  it('writes a file that is read here', async () => {
    const path = join(await temporaryFolder(), 'a');
    const script = `
import sys, numpy as np
from safetensors.numpy import save_file
save_file({'b': np.arange(6, dtype=np.float32).reshape(2, 3), 'a': np.array(0.5), 'é': np.zeros((0, 2))}, sys.argv[1], {'k': 'v'})`;
    execFileSync(python as string, ['-c', script, path]);
    const { metadata, tensors } = await readSafetensors(path);
    expect({ ...metadata }).toEqual({ k: 'v' });
    expect(new Map(tensors.map((entry) => [entry.name, entry]))).toEqual(
      new Map([
        ['a', tensor('a', [], Float64Array.of(0.5))],
        ['é', tensor('é', [0, 2], new Float64Array(0))],
        ['b', tensor('b', [2, 3], Float32Array.of(0, 1, 2, 3, 4, 5))],
      ]),
    );
  });
});
