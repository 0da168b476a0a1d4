import type { Config } from '../config/schema.js';
import { SanError } from '../errors.js';

/**
 * `error`, with the settings to lower and their values where it says that memory ran out and not yet which setting helps;
 * `when` is "after step 7".
 */
export function namingSettings(
  error: unknown,
  { batchSize, imageSize, widths }: Pick<Config, 'batchSize' | 'imageSize' | 'widths'>,
  when: string,
): unknown {
  if (!(error instanceof SanError) || error.code !== 'ERR_SAN_OUT_OF_MEMORY') return error;
  if (error.details.field !== undefined) return error;
  return new SanError(
    'ERR_SAN_OUT_OF_MEMORY',
    `out of memory ${when}: lower batchSize (now ${batchSize}), or imageSize (${imageSize}) or the widths (up to ${Math.max(...widths)}), in a new run; what was saved is unharmed`,
    { field: 'batchSize', value: batchSize },
    { cause: error },
  );
}
