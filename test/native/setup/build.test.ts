import { existsSync, readFileSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { SetupError } from '../../../lib/errors.js';
import { addonPath } from '../../../lib/native.js';
import { buildAddon } from '../../../lib/setup/build.js';
import type { ProgressEvent } from '../../../lib/setup/progress.js';
import { temporaryFolder, write } from '../../unit/setup/fakes.js';

const LIBTORCH = { path: '/opt/libtorch', version: '2.13.0', cuda: false };
const GOOD = 'extern "C" int napi_register_module_v1() { return 0; }\n';
const CRASHING = `#include <cstdlib>\n__attribute__((constructor)) static void crash() { std::abort(); }\n${GOOD}`;

/** A package with an addon that compiles in a moment and needs no LibTorch. */
function fakePackage(source = GOOD): string {
  const root = temporaryFolder();
  write(path.join(root, 'package.json'), '{"binary":{"napi_versions":[9]}}');
  write(
    path.join(root, 'CMakeLists.txt'),
    `cmake_minimum_required(VERSION 3.18)
project(fake LANGUAGES CXX)
file(WRITE "\${CMAKE_BINARY_DIR}/libtorch.txt" "\${LIBTORCH}")
add_library(san_native SHARED native/a.cpp)
set_target_properties(san_native PROPERTIES PREFIX "" SUFFIX ".node" LIBRARY_OUTPUT_DIRECTORY "\${CMAKE_BINARY_DIR}")
`,
  );
  write(path.join(root, 'native/a.cpp'), source);
  const modules = fileURLToPath(new URL('../../../node_modules', import.meta.url));
  symlinkSync(modules, path.join(root, 'node_modules'));
  return root;
}

async function failure(promise: Promise<unknown>): Promise<SetupError> {
  const error = await promise.catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(SetupError);
  expect((error as SetupError).message).not.toContain('\n');
  return error as SetupError;
}

test('the addon is built when there is a reason to, and only then', async () => {
  const root = fakePackage();
  expect(await buildAddon({ root, libtorch: LIBTORCH })).toBe(true);
  expect(existsSync(addonPath(root))).toBe(true);
  expect(await buildAddon({ root, libtorch: LIBTORCH })).toBe(false);
  write(path.join(root, 'native/a.cpp'), `${GOOD}int more;\n`);
  expect(await buildAddon({ root, libtorch: LIBTORCH })).toBe(true);
  expect(await buildAddon({ root, libtorch: LIBTORCH, force: true })).toBe(true);
});

test('another LibTorch empties the build folder first', async () => {
  const root = fakePackage();
  await buildAddon({ root, libtorch: LIBTORCH });
  const left = write(path.join(root, 'build/left-behind'));
  expect(await buildAddon({ root, libtorch: { ...LIBTORCH, path: '/opt/other' } })).toBe(true);
  expect(existsSync(left)).toBe(false);
  expect(readFileSync(path.join(root, 'build/libtorch.txt'), 'utf8')).toBe('/opt/other');
});

test('set-ups at the same time wait for one another', async () => {
  const root = fakePackage();
  const built = await Promise.all([1, 2, 3].map(() => buildAddon({ root, libtorch: LIBTORCH })));
  expect(built.filter(Boolean)).toHaveLength(1);
});

test('a compiler error is told, with the log, and the next try builds', async () => {
  const root = fakePackage('this is no C++\n');
  const events: ProgressEvent[] = [];
  const onProgress = (event: ProgressEvent) => events.push(event);
  const error = await failure(buildAddon({ root, libtorch: LIBTORCH, onProgress }));
  expect(error.code).toBe('ERR_SAN_BUILD');
  expect(error.message).toMatch(/^the addon does not build: .*a\.cpp:1:1: error: /);
  expect(readFileSync(error.details.path ?? '', 'utf8')).toContain('this is no C++');
  const output = events.find((event) => event.kind === 'output');
  expect(output?.lines.join('\n')).toContain('error:');
  write(path.join(root, 'native/a.cpp'), GOOD);
  expect(await buildAddon({ root, libtorch: LIBTORCH })).toBe(true);
});

test('a CMake error is told', async () => {
  const root = fakePackage();
  write(path.join(root, 'CMakeLists.txt'), 'message(FATAL_ERROR "not today")\n');
  const error = await failure(buildAddon({ root, libtorch: LIBTORCH }));
  expect(error.code).toBe('ERR_SAN_BUILD');
  expect(error.message).toMatch(/^CMake could not configure the addon: CMake Error at CMakeLists.txt/);
});

test('an addon that crashes or cannot be loaded is an error, now and at the next try', async () => {
  const root = fakePackage(CRASHING);
  for (const _ of [1, 2]) {
    const error = await failure(buildAddon({ root, libtorch: LIBTORCH }));
    expect(error.code).toBe('ERR_SAN_ADDON');
    expect(error.message).toContain('does not load: node was ended by SIGABRT');
  }
  write(path.join(root, 'native/a.cpp'), 'int no_addon;\n');
  const error = await failure(buildAddon({ root, libtorch: LIBTORCH }));
  expect(error.message).toContain(
    'does not load: node ended with status 1: Error: Module did not self-register',
  );
});

test('without cmake or g++ it says what to install', async () => {
  const root = fakePackage();
  const error = await failure(buildAddon({ root, libtorch: LIBTORCH, env: { PATH: temporaryFolder() } }));
  expect(error.message).toMatch(/cmake and g\+\+ must be on PATH .*apt install cmake g\+\+/);
});
