/** Several files named at once: "shards-*.tar", "shards-{000..009}.tar". */
import { stat } from 'node:fs/promises';
import { dirname, relative } from 'node:path';
import braces from 'braces';
import { glob } from 'tinyglobby';
import { Fault } from './fault.js';

export interface NamedFile {
  /** Relative to the folder that all the files are in. */
  name: string;
  path: string;
}

const MAX_FILES = 100_000;
/** What stands for something else in braces' patterns or in tinyglobby's, but is a part of names in ours: "data (1)/*.tar". */
const BRACES_ALONE = /\\.|['"`\u00a0\ufeff]/gs;
const GLOB_ALONE = /["(){}|]|^!/g;

export const isPattern = (path: string): boolean => /[*?[\]{}]/.test(path);

/**
 * The files that a pattern stands for, in the order of their paths; a brace list also names those that are missing. Folders
 * that are there by a name such as "photos [2024]" are meant by it.
 */
export async function expandPattern(pattern: string): Promise<NamedFile[]> {
  const paths = new Set<string>();
  const named = await folderByName(pattern);
  for (const part of expandBraces(pattern.slice(named.length))) {
    const found = /[*?[\]]/.test(part)
      ? await glob(part.replace(GLOB_ALONE, '\\$&'), {
          expandDirectories: false,
          absolute: part.startsWith('/'),
          ...(named !== '' && { cwd: named }),
        })
      : [part];
    for (const path of found) paths.add(named + path);
    if (paths.size > MAX_FILES) throw new Fault(`it stands for more than ${MAX_FILES} files`);
  }
  const sorted = [...paths].sort();
  const folder = commonFolder(sorted);
  return sorted.map((path) => ({ name: relative(folder, path), path }));
}

/** The longest beginning of the pattern that is a folder with characters of a pattern in its name, ending in "/"; or "". */
async function folderByName(pattern: string): Promise<string> {
  for (let end = pattern.lastIndexOf('/'); end > 0; end = pattern.lastIndexOf('/', end - 1)) {
    const folder = pattern.slice(0, end + 1);
    if (!isPattern(folder)) break;
    if ((await stat(folder).catch(() => undefined))?.isDirectory()) return folder;
  }
  return '';
}

function expandBraces(pattern: string): string[] {
  try {
    const escaped = pattern.replace(BRACES_ALONE, (found) => (found.length > 1 ? found : `\\${found}`));
    return braces(escaped, { expand: true, rangeLimit: MAX_FILES });
  } catch (error) {
    throw new Fault(`the pattern cannot be understood: ${(error as Error).message.replace(/\s+/g, ' ')}`);
  }
}

function commonFolder(paths: readonly string[]): string {
  let folder = dirname(paths[0] ?? '.');
  while (
    folder !== dirname(folder) &&
    !paths.every((path) => dirname(path) === folder || path.startsWith(`${folder}/`))
  ) {
    folder = dirname(folder);
  }
  return folder;
}
