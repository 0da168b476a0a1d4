import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { resolveConfig } from '../../../lib/config/resolve.js';
import { modelOptions } from '../../../lib/config/schema.js';
import { Artifacts } from '../../../lib/training/artifacts.js';
import { readSessions, recordSession, type Session } from '../../../lib/training/environment.js';
import { LossHistory } from '../../../lib/training/loss-history.js';
import { renderReport } from '../../../lib/training/report/page.js';
import { listSettings } from '../../../lib/training/report/settings.js';
import { evenlySpread, forPage, Thumbnails } from '../../../lib/training/report/thumbnails.js';
import { RunFolder } from '../../../lib/training/run-folder.js';
import { FakeTrainer, fakeAddon, fakeImages, someLosses } from '../support/fake-addon.js';
import { temporaryFolder } from '../support/temporary.js';

const HOSTILE = `"><script>alert(1)</script>&'\u0001`;

const session: Session = {
  startedAt: '2026-01-02T03:04:05.000Z',
  step: 0,
  sanNative: '0.1.0',
  node: '20.0.0',
  platform: 'linux',
  release: '6.1',
  arch: 'x64',
  cpu: { model: 'A processor', count: 2 },
  totalMemory: 2 ** 33,
  libtorch: { version: '2.13.0', cuda: false, cpuCapability: 'AVX2', threads: 2 },
  data: { path: `photos ${HOSTILE}`, images: 3, hash: 'abc' },
  commandLine: ['node', 'san-native', HOSTILE],
};
const metrics = [10, 20, 30].map((step) => ({
  step,
  values: { swd: 100 / step, recall: 0.5, fd: Number.NaN },
}));
const state = { seconds: 12, imagesPerSecond: 3.25, skipped: 2, warnings: [HOSTILE] };

/** A run folder with artifacts of the steps given. */
async function drawn(steps: readonly number[] = [10, 20, 30]) {
  const path = join(await temporaryFolder(), `run ${HOSTILE.replace('/', '')}`);
  const values = { imageSize: 16, baseWidth: 4, maxWidth: 8, sampleCount: 4, batchSize: 2, steps: 40 };
  const config = resolveConfig([{ source: '', values }]);
  await mkdir(path);
  const folder = await RunFolder.claim(path);
  await folder.begin(config, []);
  await recordSession(folder.environment, session);
  const model = modelOptions(config);
  const images = fakeImages(model, { seed: 3, count: 5 });
  const history = new LossHistory();
  const pictures: string[] = [];
  const events = { image: (step: number, tag: string) => pictures.push(`${step} ${tag}`) };
  const artifacts = new Artifacts({
    trainer: new FakeTrainer(model),
    addon: fakeAddon().addon,
    config,
    folder,
    images,
    events,
  });
  const wrote: string[][] = [];
  for (const step of steps) {
    history.push({ step, losses: someLosses(step) });
    wrote.push(await artifacts.draw({ step, history, metrics, ...state }));
  }
  const draw = (step: number) => artifacts.draw({ step, history, metrics, ...state });
  return { folder, artifacts, wrote, pictures, draw, page: await readFile(folder.report, 'utf8') };
}

/** Elements that need no closing tag. */
const VOID = new Set(['meta', 'img', 'input', 'br', 'path', 'rect', 'circle']);

/** Names of all elements; every tag is checked to be closed in its place, and each attribute to be quoted. */
function elements(page: string): string[] {
  const body = page.replace('<!doctype html>', '').replace(/(<(script|style)>)[^<]*/g, '$1');
  const [open, names]: [string[], string[]] = [[], []];
  const rest = body.replace(
    /<(\/?)([a-zA-Z][a-z0-9]*)((?: [a-zA-Z-]+(?:="[^"<>]*")?)*)(\/?)>/g,
    (_, closing: string, name: string) => {
      if (closing) expect(open.pop()).toBe(name);
      else {
        names.push(name);
        if (!VOID.has(name)) open.push(name);
      }
      return '';
    },
  );
  expect(open).toEqual([]);
  expect(rest).not.toMatch(/[<>]/);
  return names;
}

describe('report.html', () => {
  it('is well-formed, escapes what it is given, and holds curves, pictures and tables', async () => {
    const { page } = await drawn();
    const names = elements(page);
    const count = (name: string) => names.filter((other) => other === name).length;
    // Four losses that differ, and two metrics that were measured.
    expect(count('svg')).toBe(6);
    // Samples, reconstructions, interpolation; the slider's own, and one for each step.
    expect(count('img')).toBe(3 + 1 + 3);
    expect(count('script')).toBe(1);
    expect(page).not.toContain('alert(1)</script>');
    expect(page).toContain('&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;&amp;&#39;\ufffd');
    expect(page).toContain('Skipped steps');
    expect(page).toContain('A processor');
  });

  it('refers to nothing outside itself', async () => {
    const { page } = await drawn();
    for (const [, url] of page.matchAll(/(?:src|href|srcset|action|data|poster)="([^"]*)"/g))
      expect(url).toMatch(/^data:image\/(png|jpeg);base64,/);
    expect(page).not.toMatch(/@import|url\(|<link|<iframe|fetch\(|import\(/);
    expect(page.replaceAll('http://www.w3.org/2000/svg', '')).not.toMatch(/https?:\/\//);
    expect(page).toContain('default-src &#39;none&#39;; img-src data:;');
  });

  it('can be drawn of nothing', () => {
    const page = renderReport({
      name: 'empty',
      writtenAt: new Date(0),
      state: { ...state, step: 0, images: 0, skipped: 0, warnings: [], stopped: 'aborted' },
      losses: [],
      metrics: [],
      pictures: { course: [] },
      config: resolveConfig([]),
      sessions: [],
    });
    expect(elements(page)).not.toContain('img');
    expect(page).toContain('All as by default.');
    expect(page).not.toMatch(/undefined|NaN/);
  });

  it('says beside the losses when LGD has risen', () => {
    const losses = Array.from({ length: 200 }, (_, i) => ({
      step: 10 * (i + 1),
      losses: { lgd: i < 100 ? 0.3 : 0.6, lgi: 0.1, lrz: 0.3, lrx: 0.2, llz: 1 },
    }));
    const rendered = (points: typeof losses) =>
      renderReport({
        name: 'risen',
        writtenAt: new Date(0),
        state: { ...state, step: 2000, images: 32_000, warnings: [] },
        losses: points,
        metrics: [],
        pictures: { course: [] },
        config: resolveConfig([]),
        sessions: [],
      });
    expect(rendered(losses)).toContain('At step 2000: the reverser learns the training images by heart');
    expect(rendered(losses.slice(0, 100))).not.toContain('by heart');
  });

  it('stays below 3 MB of the largest and noisiest grids', async () => {
    const [width, height] = [1600, 1600];
    const noise = randomBytes(width * height * 3);
    const png = await sharp(noise, { raw: { width, height, channels: 3 } })
      .png()
      .toBuffer();
    const { uri, ...size } = await forPage(png);
    expect(size).toEqual({ width: 1024, height: 1024 });
    expect(uri.length).toBeLessThan(330_000);
  });
});

describe('Artifacts', () => {
  it('writes pictures once a step, curves and report each time, and names them', async () => {
    const { folder, wrote, draw, artifacts, pictures } = await drawn([10]);
    const names = ['samples/000010.png', 'samples/reconstructions-000010.png'];
    names.push('samples/interpolation-000010.png', 'losses.svg', 'metrics.svg', 'report.html');
    const paths = names.map((name) => join(folder.path, name));
    expect(wrote).toEqual([paths]);
    expect(await draw(10)).toEqual(paths.slice(3));
    expect(artifacts).toMatchObject({ samples: paths[0], lossCurve: paths[3], report: paths[5] });
    expect(pictures).toEqual(
      ['samples', 'reconstructions', 'interpolation'].map((kind) => `10 images/${kind}`),
    );
    // 5 images over their reconstructions at 4 times their size: 5 columns, 2 rows and the frame.
    expect(await sharp(paths[1]).metadata()).toMatchObject({ width: 4 * 86, height: 4 * 35 });
    expect(await sharp(paths[2]).metadata()).toMatchObject({ width: 4 * (9 * 17 + 1), height: 4 * 103 });
    expect(await readFile(paths[4] as string, 'utf8')).toContain('Sliced Wasserstein distance');
  });

  it('draws again what could not be written', async () => {
    const { folder, draw, pictures } = await drawn([10]);
    const blocked = folder.sample('interpolation', 20);
    await mkdir(blocked);
    await expect(draw(20)).rejects.toMatchObject({ code: 'ERR_SAN_OUTPUT' });
    expect(pictures).toHaveLength(3);
    await rm(blocked, { recursive: true });
    expect(await draw(20)).toHaveLength(6);
    expect(pictures).toHaveLength(6);
  });
});

describe('listSettings', () => {
  it('tells settings that somebody chose from those that follow', () => {
    const changed = listSettings(
      resolveConfig([{ source: '', values: { imageSize: 64, lambda: 0.25, threads: 2 } }]),
    ).filter((setting) => setting.changed);
    expect(changed.map(({ key, value, default: usual }) => [key, value, usual])).toEqual([
      ['imageSize', '64', '32'],
      ['lambda', '0.25', '0.5'],
      ['threads', '2', 'physical cores'],
    ]);
  });
});

describe('evenlySpread', () => {
  it('takes the first and the last', () => {
    expect(evenlySpread([1, 2, 3], 12)).toEqual([1, 2, 3]);
    expect(evenlySpread([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], 4)).toEqual([1, 4, 7, 10]);
  });
});

describe('environment.json', () => {
  it('tells of every session, and begins anew when it is spoiled', async () => {
    const path = join(await temporaryFolder(), 'environment.json');
    expect(await readSessions(path)).toEqual([]);
    await recordSession(path, session);
    await recordSession(path, { ...session, step: 20 });
    expect((await readSessions(path)).map(({ step }) => step)).toEqual([0, 20]);
    for (const content of ['{"sessions": [', 'null', '{"sessions": 3}']) {
      await writeFile(path, content);
      expect(await recordSession(path, session)).toEqual([session]);
    }
  });

  it('leaves out what is no whole session, and keeps what a later version tells besides', async () => {
    const path = join(await temporaryFolder(), 'environment.json');
    const later = { ...session, later: 1, cpu: { ...session.cpu, caches: [1] } };
    const { node: _, ...cut } = session;
    const spoiled = [{}, null, 'x', cut, { ...session, data: { path: 'photos' } }];
    await writeFile(path, JSON.stringify({ sessions: [...spoiled, later] }));
    expect(await readSessions(path)).toEqual([later]);
    expect(await recordSession(path, session)).toEqual([later, session]);
    expect(await readSessions(path)).toEqual([later, session]);
  });
});

describe('Chromium', () => {
  const browser = ['chromium', 'chromium-browser', 'google-chrome'].find(
    (command) => spawnSync(command, ['--version']).status === 0,
  );
  const why = 'no chromium here';
  if (browser === undefined) console.info(`Skipping the report in a browser: ${why}`);

  it('shows curves and pictures without a network', async (context) => {
    if (browser === undefined) context.skip(why);
    const { page, folder } = await drawn();
    const probe = `<script>addEventListener('load', () => {
      const slider = document.querySelector('input');
      slider.value = 0;
      slider.dispatchEvent(new Event('input'));
      document.title = JSON.stringify({
        images: [...document.images].map((image) => image.naturalWidth),
        curves: [...document.querySelectorAll('svg')].map((svg) => svg.getBoundingClientRect().width > 100 && svg.querySelectorAll('path').length > 4),
        shown: document.querySelector('#film figcaption').textContent,
        outside: performance.getEntriesByType('resource').filter(({ name }) => !name.startsWith('data:')).length,
      });
    });</script>`;
    const path = join(folder.path, 'probe.html');
    await writeFile(path, page.replace('</body>', `${probe}</body>`));
    const flags = ['--headless', '--no-sandbox', '--disable-gpu', '--virtual-time-budget=5000', '--dump-dom'];
    const offline = ['--proxy-server=127.0.0.1:9', '--host-resolver-rules=MAP * ~NOTFOUND'];
    const profile = `--user-data-dir=${join(folder.path, 'profile')}`;
    const { stdout } = spawnSync(
      browser as string,
      [...flags, ...offline, profile, pathToFileURL(path).href],
      {
        encoding: 'utf8',
        timeout: 60_000,
      },
    );
    const title = /<title>(.*?)<\/title>/.exec(stdout)?.[1] ?? '';
    const found = JSON.parse(title.replaceAll('&quot;', '"'));
    expect(found.images).toHaveLength(7);
    expect(Math.min(...found.images)).toBeGreaterThan(50);
    expect(found.curves).toEqual(Array(6).fill(true));
    expect(found).toMatchObject({ shown: 'step 10', outside: 0 });
  }, 90_000);
});

it('shows a grid over time as it is now once the old one is forgotten', async () => {
  const folder = await RunFolder.claim(await temporaryFolder());
  await folder.begin(resolveConfig([]), []);
  const draw = (step: number, background: string) =>
    sharp({ create: { width: 8, height: 8, channels: 3, background } })
      .png()
      .toFile(folder.sample(step));
  await draw(10, '#000000');
  await draw(20, '#000000');
  const thumbnails = new Thumbnails(folder);
  const before = await thumbnails.upTo(20);
  await draw(20, '#ffffff');
  expect(await thumbnails.upTo(20)).toEqual(before);
  thumbnails.forget(20);
  const after = await thumbnails.upTo(20);
  expect(after.map(({ step }) => step)).toEqual([10, 20]);
  expect([after[0]?.uri === before[0]?.uri, after[1]?.uri === before[1]?.uri]).toEqual([true, false]);
  expect(await thumbnails.upTo(10)).toEqual(after.slice(0, 1));
});
