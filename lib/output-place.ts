/** Keeps outputs apart from the data that they are made from, and folders from mistyped names of files. */
import { access, realpath, stat } from 'node:fs/promises';
import { basename, dirname, extname, isAbsolute, join, relative, sep } from 'node:path';
import { suggestion } from './config/nearest.js';
import { findImages, isOfContainers } from './data/folder.js';
import { expandPattern, isPattern } from './data/sources/pattern.js';
import { OutputError } from './errors.js';

/** What would be an image of a folder that it is written to. */
const IMAGE = /\.(png|webp)$/i;
/** What would be data of a folder that is read as .npy or other files that hold images. */
const CONTAINER = /\.(npy|tar|zip)$/i;

/**
 * To be called before any work. Throws OutputError when `out` is the file or folder `source`, one of the files of a
 * pattern, or lies in a folder as a picture, or as an .npy, .tar or .zip file in one of such files, wherever symbolic links lead. A
 * source that is not there is for its reader to refuse.
 */
export async function refuseOverInput(
  out: string,
  source: string,
  field: string,
  /** Whether what is written there would be taken for data; by default what the name and the folder say. */
  becomesData?: boolean,
): Promise<void> {
  const sources = await placesOf(source);
  if (sources.length === 0) return;
  const fail = (reason: string) => {
    throw new OutputError(`${out} ${reason}`, { path: out, field });
  };
  // A link in the data is replaced itself; what one elsewhere leads to may be the data.
  for (const place of new Set([join(await realPlace(dirname(out)), basename(out)), await realPlace(out)])) {
    for (const data of sources) {
      if (place === data)
        fail(
          `is the data ${source} itself, ${becomesData ? 'where it would add images' : 'which it would replace'}; choose another place`,
        );
      if (!isWithin(place, data) || !(await stat(data)).isDirectory()) continue;
      if (becomesData ?? (await wouldBeData(out, data)))
        fail(
          `lies in the data ${source}, where it would add or replace images; choose a place outside of it`,
        );
    }
  }
}

/** What a name of a file ends in, and hardly one of a folder: v1.2 may be either, and run.v2. */
const ENDING = /^\.(?!v\d+$)(?=.*[a-z])[a-z0-9]{1,11}$/i;

/**
 * To be called where a name without one of the `known` endings is that of a folder. Throws OutputError when nothing is there
 * and the name looks like a file of another kind; `remedy` says what may be named.
 */
export async function refuseMistypedFile(
  path: string,
  known: readonly string[],
  { what, remedy }: { what: string; remedy: string },
): Promise<void> {
  const ending = path.endsWith(sep) ? '' : extname(path);
  if (!ENDING.test(ending) || known.includes(ending.toLowerCase())) return;
  if (await isThere(path)) return;
  throw new OutputError(
    `cannot write ${what} as ${ending} (${path}): name ${remedy}, or write ${path}/ for a folder of that very name${suggestion(ending, known)}`,
    { path, field: 'out' },
  );
}

const isThere = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

/** Whether a file of that name in the folder `data` would be read with it. */
async function wouldBeData(out: string, data: string): Promise<boolean> {
  if (IMAGE.test(out)) return true;
  return CONTAINER.test(out) && isOfContainers(await findImages(data, undefined));
}

async function placesOf(source: string): Promise<string[]> {
  const place = await realpath(source).catch(() => undefined);
  if (place !== undefined) return [place];
  if (!isPattern(source)) return [];
  const files = await expandPattern(source).catch(() => []);
  return Promise.all(files.map(({ path }) => realpath(path).catch(() => path)));
}

/** Where `path` is, or will be when its missing parts are made. */
async function realPlace(path: string): Promise<string> {
  const place = await realpath(path).catch(() => undefined);
  if (place !== undefined || dirname(path) === path) return place ?? path;
  return join(await realPlace(dirname(path)), basename(path));
}

function isWithin(place: string, folder: string): boolean {
  const way = relative(folder, place);
  return way !== '' && !isAbsolute(way) && way.split(sep)[0] !== '..';
}
