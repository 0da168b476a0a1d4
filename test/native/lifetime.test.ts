/** Processes and workers that end while native work is under way must end at once, with the right code, and not crash. */
import { expect, test } from 'vitest';
import { type Outcome, root, runNode } from './support.js';

const prelude = `
  const { loadAddon } = await import(${JSON.stringify(`${root}dist/lib/native.js`)});
  const { trainerOptions, someImages } = await import(${JSON.stringify(`${root}dist/test/native/support.js`)});
  const addon = loadAddon();
  const trainer = await addon.createTrainer(trainerOptions());
  const training = trainer.run({ steps: 1e9 });
`;
const inWorker = (body: string) => `
  import { Worker } from 'node:worker_threads';
  const worker = new Worker(${JSON.stringify(`${prelude}; const { parentPort } = await import('node:worker_threads'); ${body}`)}, { eval: true });
  worker.on('error', (error) => { console.log('error ' + error.message); });
  worker.on('exit', (code) => { console.log('exit ' + code); });
`;
const later = (code: string) => `setTimeout(() => { ${code} }, 150);`;

function expectEnd(outcome: Outcome, code: number): void {
  expect(outcome.signal, outcome.stderr).toBeNull();
  expect(outcome.code, outcome.stderr).toBe(code);
}

test('process.exit() in mid-training', async () => {
  expectEnd(await runNode(`${prelude} ${later('process.exit(7)')}`), 7);
});

test('an uncaught error in mid-training', async () => {
  const outcome = await runNode(`${prelude} ${later("throw new Error('on purpose')")}`);
  expectEnd(outcome, 1);
  expect(outcome.stderr).toContain('on purpose');
});

test('an unhandled rejection of native work', async () => {
  const outcome = await runNode(`${prelude} ${later('addon.createTrainer({})')}`);
  expectEnd(outcome, 1);
  expect(outcome.stderr).toContain('ERR_SAN_OPTIONS');
});

test('process.exit() with much work waiting', async () => {
  expectEnd(
    await runNode(
      `${prelude} for (let i = 0; i < 100; i++) trainer.generate({ seed: i, count: 1000 }); ${later('process.exit(3)')}`,
    ),
    3,
  );
});

test('process.exit() in a worker', async () => {
  const outcome = await runNode(inWorker(later('process.exit(5)')));
  expectEnd(outcome, 0);
  expect(outcome.stdout).toBe('exit 5\n');
});

test('an uncaught error in a worker', async () => {
  const outcome = await runNode(inWorker(later("throw new Error('on purpose')")));
  expectEnd(outcome, 0);
  expect(outcome.stdout).toBe('error on purpose\nexit 1\n');
});

test('worker.terminate() in mid-training, and the main thread trains on', async () => {
  const outcome = await runNode(`
    ${prelude}
    trainer.interrupt();
    await training;
    // Only now: all work of a process shares one thread, and the worker's run has no end.
    ${inWorker("parentPort.postMessage('up');")}
    await new Promise((resolve) => worker.once('message', resolve));
    await new Promise((resolve) => setTimeout(resolve, 100));
    await worker.terminate();
    const { losses } = await trainer.run({ steps: 3 });
    console.log('steps ' + losses.length);
  `);
  expectEnd(outcome, 0);
  expect(outcome.stdout).toBe('exit 1\nsteps 3\n');
});

test('worker.terminate() while calls fail: a fault that cannot be told ends no process', async () => {
  const calls = `
    const { loadAddon } = await import(${JSON.stringify(`${root}dist/lib/native.js`)});
    const { parentPort } = await import('node:worker_threads');
    const addon = loadAddon();
    parentPort.postMessage('up');
    for (;;) {
      addon.createTrainer({}).catch(() => {});
      try { addon.createLoader({}); } catch {}
    }`;
  const outcome = await runNode(`
    import { Worker } from 'node:worker_threads';
    for (let i = 0; i < 12; i++) {
      const worker = new Worker(${JSON.stringify(calls)}, { eval: true });
      worker.on('error', (error) => console.log('error ' + error.message));
      await new Promise((resolve) => worker.once('message', resolve));
      await new Promise((resolve) => setTimeout(resolve, 20 + i));
      console.log(await worker.terminate());
    }`);
  expectEnd(outcome, 0);
  expect(outcome.stdout).toBe('1\n'.repeat(12));
});

test('a process whose engine cannot start is told why, and ends', async () => {
  // Less address space is left than the stack of a thread takes.
  const outcome = await runNode(`
    const { execFileSync } = await import('node:child_process');
    const { readFileSync } = await import('node:fs');
    const { loadAddon } = await import(${JSON.stringify(`${root}dist/lib/native.js`)});
    const { trainerOptions } = await import(${JSON.stringify(`${root}dist/test/native/support.js`)});
    const addon = loadAddon();
    const pages = Number(readFileSync('/proc/self/statm', 'utf8').split(' ')[0]);
    execFileSync('prlimit', ['--pid', String(process.pid), '--as=' + (pages * 4096 + 6e6)]);
    await addon.createTrainer(trainerOptions()).catch((error) => console.log(error.code + ' ' + error.message));`);
  expectEnd(outcome, 0);
  expect(outcome.stdout).toMatch(/^ERR_SAN_NATIVE the system starts no thread .*ulimit -v/);
});

test('process.exit() in the main thread while a worker trains', async () => {
  expectEnd(
    await runNode(
      `${inWorker("parentPort.postMessage('up');")} worker.on('message', () => process.exit(4));`,
    ),
    4,
  );
});

test('a process with nothing left to do ends by itself; one with work waits for it', async () => {
  expectEnd(await runNode(`${prelude} trainer.interrupt();`), 0);
  const outcome = await runNode(
    `${prelude} trainer.interrupt(); trainer.run({ steps: 2 }).then(({ losses }) => console.log(losses.length));`,
  );
  expectEnd(outcome, 0);
  expect(outcome.stdout).toBe('2\n');
});

test('a 5 ms timer is never more than 30 ms late while steps run', async () => {
  const outcome = await runNode(`
    ${prelude}
    let latest = 0, last = performance.now();
    setInterval(() => {
      const now = performance.now();
      latest = Math.max(latest, now - last - 5);
      last = now;
    }, 5);
    setTimeout(() => { console.log(latest.toFixed(1)); process.exit(); }, 3000);
  `);
  expectEnd(outcome, 0);
  expect(Number(outcome.stdout)).toBeLessThan(30);
});

test('native memory is reported to V8, which collects what nobody holds any more', async () => {
  const outcome = await runNode(`
    ${prelude}
    trainer.interrupt();
    const images = someImages(250_000);
    let peak = 0;
    for (let i = 0; i < 30; i++) {
      await addon.createTrainer({ ...trainerOptions(), images });
      await new Promise((resolve) => setTimeout(resolve, 5));
      peak = Math.max(peak, process.memoryUsage().rss);
    }
    console.log(Math.round(peak / 2 ** 20));
  `);
  expectEnd(outcome, 0);
  // Thirty sets of 46 MiB; V8 would see thirty small objects.
  expect(Number(outcome.stdout)).toBeLessThan(900);
});
