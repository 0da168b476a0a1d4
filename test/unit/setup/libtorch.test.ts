import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { SetupError } from '../../../lib/errors.js';
import { fetchedFolder } from '../../../lib/setup/fetch.js';
import { findLibTorch } from '../../../lib/setup/libtorch.js';
import { FakePython, fakeLibTorch, fakeSite, temporaryFolder, write } from './fakes.js';

async function failure(promise: Promise<unknown>): Promise<SetupError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(SetupError);
  expect((error as SetupError).code).toBe('ERR_SAN_LIBTORCH_NOT_FOUND');
  expect((error as SetupError).message).not.toContain('\n');
  return error as SetupError;
}

/** Every source at once; each test takes away what comes first. */
function everything() {
  const cacheFolder = temporaryFolder();
  const named = fakeLibTorch(temporaryFolder(), '2.12.1', 'zip');
  const cached = fakeLibTorch(fetchedFolder(cacheFolder), '2.13.0+cpu');
  const imported = fakeLibTorch(path.join(temporaryFolder(), 'torch'), '2.14.1');
  const python = new FakePython({ torch: imported, site: fakeSite('2.13.0') });
  return { cacheFolder, named, cached, imported, python };
}

describe('the order of the search', () => {
  test('first the folder that SAN_NATIVE_LIBTORCH names', async () => {
    const { cacheFolder, named, python } = everything();
    const env = { ...python.env, SAN_NATIVE_LIBTORCH: named };
    const { libtorch, attempts } = await findLibTorch({ env, cacheFolder });
    expect(libtorch).toEqual({ path: named, version: '2.12.1', cuda: false, source: 'environment' });
    expect(attempts).toEqual([{ where: 'SAN_NATIVE_LIBTORCH', outcome: `LibTorch 2.12.1 in ${named}` }]);
  });

  test('then an earlier fetch', async () => {
    const { cacheFolder, cached, python } = everything();
    const env = { ...python.env, SAN_NATIVE_LIBTORCH: '' };
    const { libtorch, attempts } = await findLibTorch({ env, cacheFolder });
    expect(libtorch).toEqual({ path: cached, version: '2.13.0+cpu', cuda: false, source: 'cache' });
    expect(attempts.map(({ outcome }) => outcome)).toEqual(['not set', `LibTorch 2.13.0+cpu in ${cached}`]);
  });

  test("then Python's torch", async () => {
    const { imported, python } = everything();
    const { libtorch, attempts } = await findLibTorch({ env: python.env, cacheFolder: temporaryFolder() });
    expect(libtorch).toEqual({ path: imported, version: '2.14.1', cuda: false, source: 'python' });
    expect(attempts.map(({ outcome }) => outcome)).toEqual([
      'not set',
      'there is no such folder',
      `LibTorch 2.14.1 in ${imported}`,
    ]);
  });

  test('then a fetch, which the next search finds', async () => {
    const cacheFolder = path.join(temporaryFolder(), 'not/there/yet');
    const python = new FakePython({ site: fakeSite('2.13.0+cpu') });
    const { env } = python;
    const first = await findLibTorch({ env, cacheFolder });
    expect(first.libtorch.source).toBe('fetched');
    expect(first.libtorch.path).toBe(fetchedFolder(cacheFolder));
    expect(first.attempts.map(({ where }) => where)).toEqual([
      'SAN_NATIVE_LIBTORCH',
      `earlier fetch in ${cacheFolder}`,
      'torch of python3',
      'pip install torch==2.13.0',
    ]);
    const second = await findLibTorch({ env, cacheFolder });
    expect(second.libtorch.source).toBe('cache');
    expect(python.packages).toEqual(['torch==2.13.0']);
  });
});

describe('a folder that SAN_NATIVE_LIBTORCH names is never passed over', () => {
  const find = (named: string, more: NodeJS.ProcessEnv = {}) => {
    const { cacheFolder, python } = everything();
    return findLibTorch({ env: { ...python.env, SAN_NATIVE_LIBTORCH: named, ...more }, cacheFolder });
  };

  test.each([
    ['is missing', () => '/no/such/folder', 'there is no such folder'],
    ['is a file', () => write(path.join(temporaryFolder(), 'file')), 'it is not a folder'],
    ['is empty', () => temporaryFolder(), 'it holds no lib/libtorch_cpu.so'],
    ['is one level up', () => fakeSite('2.13.0'), 'did you mean its folder torch?'],
  ])('when it %s', async (_, make, reason) => {
    const named = make();
    const error = await failure(find(named));
    expect(error.message).toContain(`SAN_NATIVE_LIBTORCH=${named} cannot be used: `);
    expect(error.message).toContain(reason);
    expect(error.details).toEqual({ path: named, field: 'SAN_NATIVE_LIBTORCH' });
  });

  test('when its version is not supported, unless any version will do', async () => {
    const named = fakeLibTorch(temporaryFolder(), '2.9.1+cu128');
    const error = await failure(find(named));
    expect(error.message).toMatch(/LibTorch 2\.9\.1\+cu128, and 2\.11 to 2\.14 .*SAN_NATIVE_ANY_LIBTORCH=1/);
    const { libtorch } = await find(named, { SAN_NATIVE_ANY_LIBTORCH: '1' });
    expect(libtorch.version).toBe('2.9.1+cu128');
  });
});

describe('where CUDA is demanded', () => {
  test('a LibTorch without it is passed over, and one with it is fetched', async () => {
    const site = fakeSite('2.14.1+cu130');
    write(path.join(site, 'torch/lib/libtorch_cuda.so'));
    const cacheFolder = temporaryFolder();
    fakeLibTorch(fetchedFolder(cacheFolder), '2.13.0+cpu');
    const python = new FakePython({
      torch: fakeLibTorch(path.join(temporaryFolder(), 'torch'), '2.14.1'),
      site,
    });
    const find = () => findLibTorch({ env: python.env, cacheFolder, cuda: 'on' });
    const { libtorch, attempts } = await find();
    expect(libtorch).toMatchObject({ cuda: true, source: 'fetched', version: '2.14.1+cu130' });
    expect(attempts.map(({ outcome }) => outcome)[2]).toContain('has no CUDA library');
    expect((await find()).libtorch).toEqual({ ...libtorch, source: 'cache' });
    expect((await findLibTorch({ env: python.env, cacheFolder })).libtorch.version).toBe('2.13.0+cpu');
  });

  test('one without it that was named or fetched is refused', async () => {
    const { cacheFolder, named, python } = everything();
    const env = { ...python.env, SAN_NATIVE_LIBTORCH: named };
    const { message } = await failure(findLibTorch({ env, cacheFolder, cuda: 'on' }));
    expect(message).toContain('it has no CUDA library');
    const { env: other } = new FakePython({ site: fakeSite('2.14.1+cpu') });
    const refused = await failure(findLibTorch({ env: other, cacheFolder: temporaryFolder(), cuda: 'on' }));
    expect(refused.message).toContain('pip gave torch 2.14.1+cpu, which has no CUDA library');
  });
});

describe('when nothing can be had', () => {
  test('the error tells every attempt', async () => {
    const cacheFolder = temporaryFolder();
    const old = fakeLibTorch(path.join(temporaryFolder(), 'torch'), '2.4.0');
    const { env } = new FakePython({ torch: old });
    const { message } = await failure(findLibTorch({ env, cacheFolder }));
    expect(message).toContain('SAN_NATIVE_LIBTORCH: not set; ');
    expect(message).toContain(`earlier fetch in ${cacheFolder}: there is no such folder; `);
    expect(message).toContain(`torch of python3: torch 2.4.0 in ${old} is not of 2.11 to 2.14 `);
    expect(message).toContain('pip install torch==2.13.0: pip ended with status 1: No matching distribution');
  });

  test('without python3 it says what to install', async () => {
    const env = { PATH: temporaryFolder() };
    const { message } = await failure(findLibTorch({ env, cacheFolder: temporaryFolder() }));
    expect(message).toContain('torch of python3: there is no python3 on PATH; ');
    expect(message).toContain('install Python 3.10 or later with pip');
  });

  test('without pip it says what to install', async () => {
    const { env } = new FakePython({ pip: false });
    const { message } = await failure(findLibTorch({ env, cacheFolder: temporaryFolder() }));
    expect(message).toContain('python3 has no pip; install it');
  });

  test('a cache folder that cannot be made is named', async () => {
    const { env } = new FakePython({ site: fakeSite('2.13.0') });
    const cacheFolder = path.join(write(path.join(temporaryFolder(), 'file')), 'cache');
    const { message } = await failure(findLibTorch({ env, cacheFolder }));
    expect(message).toContain('the cache folder cannot be made');
  });
});

describe('a fetch', () => {
  test('happens once for several that want it at the same time', async () => {
    const cacheFolder = temporaryFolder();
    const python = new FakePython({ site: fakeSite('2.13.0') });
    const found = await Promise.all([1, 2, 3].map(() => findLibTorch({ env: python.env, cacheFolder })));
    expect(new Set(found.map(({ libtorch }) => libtorch.path)).size).toBe(1);
    expect(python.packages).toEqual(['torch==2.13.0']);
  });

  test('clears what a broken-off fetch left, and leaves only the package behind', async () => {
    const cacheFolder = temporaryFolder();
    const parent = path.dirname(path.dirname(fetchedFolder(cacheFolder)));
    write(path.join(parent, '.fetching-abc/site/torch/version.py'));
    mkdirSync(fetchedFolder(cacheFolder), { recursive: true });
    const { env } = new FakePython({ site: fakeSite('2.13.0') });
    const { attempts } = await findLibTorch({ env, cacheFolder });
    expect(attempts[1]?.outcome).toContain('it holds no lib/libtorch_cpu.so');
    expect(readdirSync(parent).filter((name) => name.startsWith('.'))).toEqual([]);
  });

  test.each([
    ['another version', () => fakeSite('2.12.0'), 'pip gave torch 2.12.0 where 2.13.0 was asked for'],
    ['something else', () => temporaryFolder(), 'the package that pip gave is of no use'],
  ])('that gives %s is refused and leaves nothing', async (_, site, reason) => {
    const cacheFolder = temporaryFolder();
    const { env } = new FakePython({ site: site() });
    const { message } = await failure(findLibTorch({ env, cacheFolder }));
    expect(message).toContain(reason);
    expect(existsSync(path.dirname(fetchedFolder(cacheFolder)))).toBe(false);
  });

  test('of a CUDA build brings the libraries that it links to', async () => {
    const site = fakeSite('2.13.0');
    write(path.join(site, 'torch/lib/libtorch_cuda.so'));
    write(
      path.join(site, 'torch-2.13.0.dist-info/METADATA'),
      [
        'Metadata-Version: 2.4',
        'Requires-Dist: sympy>=1.13.3',
        'Requires-Dist: cuda-toolkit[cublas,cudart]==13.0.2; platform_system == "Linux"',
        'Requires-Dist: cuda-bindings==13.0; platform_system == "Linux"',
        'Requires-Dist: nvidia-cudnn-cu13==9.15; platform_system == "Linux"',
        'Requires-Dist: nvidia-extra==1; extra == "more"',
      ].join('\n'),
    );
    const python = new FakePython({ site });
    const { libtorch } = await findLibTorch({ env: python.env, cacheFolder: temporaryFolder() });
    expect(libtorch.cuda).toBe(true);
    expect(python.packages).toEqual([
      'torch==2.13.0',
      'cuda-toolkit[cublas,cudart]==13.0.2; platform_system == "Linux"',
      'nvidia-cudnn-cu13==9.15; platform_system == "Linux"',
    ]);
  });
});
