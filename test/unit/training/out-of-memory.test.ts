import { describe, expect, it } from 'vitest';
import { NativeError } from '../../../lib/errors.js';
import { namingSettings } from '../../../lib/training/out-of-memory.js';

const SETTINGS = { batchSize: 64, imageSize: 32, widths: [16, 32] };

describe('namingSettings', () => {
  it('names the settings to lower, and keeps the cause', () => {
    const error = new NativeError('ERR_SAN_OUT_OF_MEMORY', 'out of memory');
    expect(namingSettings(error, SETTINGS, 'after step 7')).toMatchObject({
      message: expect.stringMatching(/^out of memory after step 7: lower batchSize \(now 64\)/),
      details: { field: 'batchSize', value: 64 },
      cause: error,
    });
  });

  it('keeps an error that names a setting already', () => {
    const error = new NativeError(
      'ERR_SAN_OUT_OF_MEMORY',
      'the images are 9.00 GB, the device has 1.00 GB left; set dataDevice to auto or host',
      { field: 'dataDevice' },
    );
    expect(namingSettings(error, SETTINGS, 'before the first step')).toBe(error);
  });

  it('keeps other errors', () => {
    const error = new NativeError('ERR_SAN_DEVICE', 'the GPU failed');
    expect(namingSettings(error, SETTINGS, 'after step 7')).toBe(error);
  });
});
