/** Where san-native keeps what it can make again: prepared images and features. */
import { resolve } from 'node:path';
import { defaultCacheFolder } from './setup/fetch.js';

/** The folder that SAN_NATIVE_CACHE names, or the user's cache folder for san-native. */
export function cacheFolder(env: NodeJS.ProcessEnv = process.env): string {
  const { SAN_NATIVE_CACHE: named } = env;
  return named === undefined || named === '' ? defaultCacheFolder() : resolve(named);
}
