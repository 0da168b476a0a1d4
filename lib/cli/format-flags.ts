/** Flags of the config keys that decide the pixels of a prepared set, for the commands that need no others. */
import type { Options } from 'yargs';
import { imageFormatSchema } from '../config/schema.js';
import { configFlags, flagName } from './flags.js';

const GROUP = 'Images:';
/** Short names of some, besides their own. */
const ALIASES: Readonly<Record<string, string>> = { 'image-size': 'size', 'image-channels': 'channels' };

export const formatFlags: Record<string, Options> = Object.fromEntries(
  Object.keys(imageFormatSchema.shape).map((key) => {
    const name = flagName(key);
    const alias = ALIASES[name];
    return [name, { ...configFlags[name], group: GROUP, hidden: false, ...(alias && { alias }) }];
  }),
);
