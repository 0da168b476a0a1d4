import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { jobs } from '../../../lib/setup/build.js';
import { cudaChoice, cudaToolchain } from '../../../lib/setup/cuda.js';
import { inspectLibTorch, isSupported } from '../../../lib/setup/inspect.js';
import {
  configuredFor,
  hashSources,
  readStamp,
  sameConfiguration,
  writeStamp,
} from '../../../lib/setup/stamp.js';
import { copy, fakeLibTorch, temporaryFolder, write } from './fakes.js';

const LIBTORCH = { path: '/opt/libtorch', version: '2.13.0', cuda: false };
const NO_CUDA = 'off';

function fakePackage(): string {
  const root = temporaryFolder();
  write(path.join(root, 'package.json'), '{"version":"1.0.0","binary":{"napi_versions":[9]}}');
  write(path.join(root, 'CMakeLists.txt'), 'project(a)');
  write(path.join(root, 'native/src/a.cpp'), 'int a;');
  write(path.join(root, 'native/include/san/a.h'), '#pragma once');
  return root;
}

describe('the hash of the sources', () => {
  test('stays when nothing that matters changes', async () => {
    const root = fakePackage();
    const before = await hashSources(root, configuredFor(root, LIBTORCH, NO_CUDA));
    write(path.join(root, 'native/src/a.cpp'), 'int a;');
    write(path.join(root, 'native/src/.a.cpp.swp'), 'an editor');
    write(path.join(root, 'package.json'), '{"version":"1.0.1","binary":{"napi_versions":[9]}}');
    expect(await hashSources(root, configuredFor(root, LIBTORCH, NO_CUDA))).toBe(before);
  });

  test.each<[string, (root: string) => unknown]>([
    ['a source', (root) => write(path.join(root, 'native/src/a.cpp'), 'int b;')],
    ['a header', (root) => write(path.join(root, 'native/include/san/a.h'), '#pragma twice')],
    ['CMakeLists.txt', (root) => write(path.join(root, 'CMakeLists.txt'), 'project(b)')],
    ['the set of files', (root) => write(path.join(root, 'native/src/b.cpp'))],
    [
      'the Node-API version',
      (root) => write(path.join(root, 'package.json'), '{"binary":{"napi_versions":[10]}}'),
    ],
  ])('follows %s', async (_, change) => {
    const root = fakePackage();
    const before = await hashSources(root, configuredFor(root, LIBTORCH, NO_CUDA));
    change(root);
    expect(await hashSources(root, configuredFor(root, LIBTORCH, NO_CUDA))).not.toBe(before);
  });

  test('follows LibTorch and the place of the checkout', async () => {
    const root = fakePackage();
    const moved = temporaryFolder();
    copy(root, moved);
    const hashes = await Promise.all([
      hashSources(root, configuredFor(root, LIBTORCH, NO_CUDA)),
      hashSources(root, configuredFor(root, { ...LIBTORCH, path: '/opt/other' }, NO_CUDA)),
      hashSources(root, configuredFor(root, { ...LIBTORCH, version: '2.14.0' }, NO_CUDA)),
      hashSources(root, configuredFor(root, LIBTORCH, 'auto, /usr/bin/nvcc')),
      hashSources(moved, configuredFor(moved, LIBTORCH, NO_CUDA)),
    ]);
    expect(new Set(hashes).size).toBe(5);
  });
});

describe('the stamp', () => {
  test('comes back as it was written', () => {
    const build = temporaryFolder();
    const stamp = { configured: configuredFor('/here', LIBTORCH, NO_CUDA), hash: 'abc' };
    expect(readStamp(build)).toBeUndefined();
    writeStamp(build, stamp);
    expect(readStamp(build)).toEqual(stamp);
    expect(sameConfiguration(readStamp(build), configuredFor('/here', LIBTORCH, NO_CUDA))).toBe(true);
    expect(sameConfiguration(readStamp(build), configuredFor('/there', LIBTORCH, NO_CUDA))).toBe(false);
  });

  test('counts as none when it is damaged', () => {
    const build = temporaryFolder();
    writeStamp(build, { configured: configuredFor('/here', LIBTORCH, NO_CUDA) });
    const file = path.join(build, 'san-native.json');
    write(file, readFileSync(file, 'utf8').slice(0, 20));
    expect(readStamp(build)).toBeUndefined();
    write(file, 'null');
    expect(readStamp(build)).toBeUndefined();
    expect(sameConfiguration(undefined, configuredFor('/here', LIBTORCH, NO_CUDA))).toBe(false);
  });
});

test.each([
  ['2.10.2', false],
  ['2.11.0', true],
  ['2.13.0+cpu', true],
  ['2.14.1+cu130', true],
  ['2.14.0a0+git1234', true],
  ['2.15.0', false],
  ['1.13.0', false],
  ['3.12.0', false],
  ['nonsense', false],
])('version %s is supported: %s', (version, expected) => {
  expect(isSupported(version)).toBe(expected);
});

test.each(['python', 'zip'] as const)('the version of a %s folder is read', (kind) => {
  const folder = fakeLibTorch(temporaryFolder(), '2.13.0+cu130', kind);
  expect(inspectLibTorch(folder).found?.version).toBe('2.13.0+cu130');
});

test('a folder without a version is refused', () => {
  const folder = fakeLibTorch(temporaryFolder(), '', 'zip');
  expect(inspectLibTorch(folder).fault).toContain('version');
});

test('memory and cores bound the number of compilers, and CMake has the last word', () => {
  const gibibyte = 1024 ** 3;
  expect(jobs({}, 0.5 * gibibyte)).toBe(1);
  expect(jobs({}, 3.9 * gibibyte)).toBe(1);
  expect(jobs({}, 2000 * gibibyte)).toBeGreaterThanOrEqual(1);
  expect(jobs({ CMAKE_BUILD_PARALLEL_LEVEL: '7' }, gibibyte)).toBe(7);
  expect(jobs({ CMAKE_BUILD_PARALLEL_LEVEL: 'many' }, gibibyte)).toBe(1);
});

test('what decides about the CUDA variant: the choice, nvcc, the architectures', () => {
  const cuda = { ...LIBTORCH, cuda: true };
  const env = { PATH: '/no/such/folder' };
  const all = [
    cudaToolchain(LIBTORCH, 'auto', env),
    cudaToolchain(LIBTORCH, 'on', env),
    cudaToolchain(cuda, 'auto', env),
    cudaToolchain(cuda, 'on', env),
    cudaToolchain(cuda, 'auto', { ...env, CUDACXX: '/opt/nvcc' }),
    cudaToolchain(cuda, 'auto', { ...env, CUDAARCHS: '90' }),
  ];
  expect(new Set(all).size).toBe(all.length);
  expect(cudaToolchain(cuda, 'off', env)).toBe(cudaToolchain(LIBTORCH, 'auto', env));
  expect(cudaChoice({})).toBe('auto');
  expect(() => cudaChoice({ SAN_NATIVE_CUDA: 'yes' })).toThrow(
    'SAN_NATIVE_CUDA = yes: expected auto, on, off',
  );
});
