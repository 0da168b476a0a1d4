// npm run test:gpu: set-up, then the tests of the GPU, and those of the core library in the same build.
//   --prepared   no set-up: for a machine without npm, where dist/, the addon and san_core_tests are there
//   --sanitize   instead: the kernels' tests, but for those on large tensors, under each tool of NVIDIA's compute-sanitizer
import { existsSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { prepare, root } from './prepare.mjs';
import { Failure, run, runMain } from './run.mjs';

const OPTIONS = ['--prepared', '--sanitize'];
const TOOLS = ['memcheck', 'racecheck', 'synccheck'];
/** Groups of native/test that launch kernels. */
const KERNELS = ['emit', 'feed', 'gates', 'norm_act_skip', 'polyphase', 'random', 'shared_step'].map(
  (name) => `${name}_cuda`,
);

await runMain(async () => {
  const options = process.argv.slice(2);
  const unknown = options.find((option) => !OPTIONS.includes(option));
  if (unknown) throw new Failure(`unknown option ${unknown}, known are ${OPTIONS.join(', ')}`, 2);
  const build = path.resolve(root, process.env.SAN_NATIVE_BUILD || 'build');
  const tests = path.join(build, 'san_core_tests');
  if (!options.includes('--prepared')) {
    await prepare();
    const status = await run('cmake', ['--build', build, '--target', 'san_core_tests'], { cwd: root });
    if (status !== 0) return status;
  }
  const commands = options.includes('--sanitize')
    ? await underSanitizer(tests)
    : [[process.execPath, path.join(root, 'dist/test/gpu/device.js')], [tests]];
  // LibTorch's allocator hands out parts of larger pieces, whose ends memcheck does not see.
  const env = { ...process.env, PYTORCH_NO_CUDA_MEMORY_CACHING: '1' };
  let worst = 0;
  // All of them, whatever becomes of one.
  for (const [command, ...args] of commands) {
    const status = await run(command, args, { cwd: root, ...(args.includes('--tool') && { env }) });
    worst ||= status;
  }
  return worst;
});

/** A command for each tool; none, with the reason printed, where the sanitizer or a GPU is missing. */
async function underSanitizer(tests) {
  const { sanitizer, missing } = await findSanitizer();
  if (missing) {
    console.log(`compute-sanitizer is not run: ${missing}`);
    return [];
  }
  return TOOLS.map((tool) => [sanitizer, '--tool', tool, '--error-exitcode', '1', tests, ...KERNELS]);
}

/** Where compute-sanitizer is, or what is missing to run it. */
async function findSanitizer() {
  const { loadAddon } = await import(pathToFileURL(path.join(root, 'dist/lib/native.js')).href);
  const { cuda } = loadAddon().info();
  if (cuda.devices.length === 0) return { missing: cuda.fault ?? 'there is no GPU' };
  const toolkit = process.env.CUDA_HOME || '/usr/local/cuda';
  const folders = [...(process.env.PATH ?? '').split(path.delimiter), path.join(toolkit, 'bin')];
  const sanitizer = folders.map((folder) => path.join(folder, 'compute-sanitizer')).find(existsSync);
  return sanitizer ? { sanitizer } : { missing: `it is neither on PATH nor in ${toolkit}/bin` };
}
