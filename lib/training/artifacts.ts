import { readFile } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import type { Config } from '../config/schema.js';
import { writeFileAtomic } from '../files.js';
import type { Addon, ImageBatch, NativeTrainer } from '../native.js';
import { readSessions, type Session } from './environment.js';
import type { Looks } from './looks.js';
import { lossCurve } from './loss-curve.js';
import type { LossHistory } from './loss-history.js';
import { type MetricPoint, metricCurves } from './metric-curves.js';
import { type DrawnPicture, Pictures } from './pictures.js';
import { type ReportState, renderReport } from './report/page.js';
import { forPage, type PagePicture, Thumbnails } from './report/thumbnails.js';
import type { RunFolder } from './run-folder.js';
import type { EventWriter } from './tensorboard/event-writer.js';

export interface ArtifactsOptions {
  trainer: Pick<NativeTrainer, 'generate' | 'decode' | 'reverse'>;
  addon: Pick<Addon, 'latents'>;
  config: Config;
  folder: RunFolder;
  /** Real images, the same in each session of a run, to be reconstructed: up to RECONSTRUCTED of pictures.ts. */
  images: ImageBatch;
  /** Takes the pictures as well; whoever owns it flushes it. */
  events?: Pick<EventWriter, 'image'> | undefined;
}

export interface DrawOptions extends Omit<ReportState, 'images'> {
  history: Pick<LossHistory, 'points'>;
  /** Oldest first. */
  metrics: readonly MetricPoint[];
}

/** The pictures, curves and report that a run leaves behind. */
export class Artifacts {
  private readonly options: ArtifactsOptions;
  private readonly pictures: Pictures;
  private readonly thumbnails: Thumbnails;
  private readonly shown: Partial<Record<DrawnPicture['kind'], PagePicture>> = {};
  private real?: PagePicture | undefined;
  private sessions?: Session[];
  /** Step whose pictures are all written. */
  private drawn = -1;
  private paths: { samples?: string; lossCurve?: string; report?: string } = {};

  constructor(options: ArtifactsOptions) {
    this.options = options;
    this.pictures = new Pictures(options);
    this.thumbnails = new Thumbnails(options.folder);
  }

  /** Path of the latest sample grid; undefined before the first. So with the others. */
  get samples(): string | undefined {
    return this.paths.samples;
  }

  /** Of the latest sample grid. */
  get looks(): Looks | undefined {
    return this.pictures.looks;
  }

  get lossCurve(): string | undefined {
    return this.paths.lossCurve;
  }

  get report(): string | undefined {
    return this.paths.report;
  }

  /**
   * Draws the pictures of a step, unless that is done, and the curves and the report anew. Gives the paths of the files
   * written. Rejects with OutputError, after which it may be called again for the same step, and NativeError.
   */
  async draw(options: DrawOptions): Promise<string[]> {
    const { step, history, metrics } = options;
    const { folder } = this.options;
    const wrote = step === this.drawn ? [] : await this.drawPictures(step);
    this.drawn = step;
    await writeFileAtomic(folder.lossCurve, [lossCurve(history.points)]);
    this.paths.lossCurve = folder.lossCurve;
    wrote.push(folder.lossCurve);
    if (metrics.length > 0) {
      await writeFileAtomic(folder.metricCurves, [metricCurves(metrics)]);
      wrote.push(folder.metricCurves);
    }
    await writeFileAtomic(folder.report, [await this.render(options)]);
    this.paths.report = folder.report;
    wrote.push(folder.report);
    return wrote;
  }

  private async drawPictures(step: number): Promise<string[]> {
    const { folder, events } = this.options;
    this.thumbnails.forget(step);
    const drawn: { path: string; picture: DrawnPicture }[] = [];
    for await (const picture of this.pictures.draw()) {
      const path = picture.kind === 'samples' ? folder.sample(step) : folder.sample(picture.kind, step);
      await writeFileAtomic(path, [picture.png]);
      this.shown[picture.kind] = await forPage(picture.png);
      if (picture.kind === 'samples') this.paths.samples = path;
      drawn.push({ path, picture });
    }
    // Not one by one: what is drawn again after a failure would be there twice.
    for (const { picture } of drawn) {
      const { width, height } = pngSize(picture.png);
      events?.image(step, `images/${picture.kind}`, picture.png, width, height);
    }
    return drawn.map(({ path }) => path);
  }

  private async render({ history, metrics, ...state }: DrawOptions): Promise<string> {
    const { folder, config } = this.options;
    this.sessions ??= await readSessions(folder.environment);
    this.real ??= await readFile(folder.sample('real')).then(forPage, () => undefined);
    return renderReport({
      name: basename(resolve(folder.path)),
      writtenAt: new Date(),
      state: { ...state, images: state.step * config.batchSize },
      losses: history.points,
      metrics,
      looks: this.looks,
      pictures: { ...this.shown, real: this.real, course: await this.thumbnails.upTo(state.step) },
      config,
      sessions: this.sessions,
    });
  }
}

/** Of the header, which comes first in every PNG. */
const pngSize = (png: Buffer) => ({ width: png.readUInt32BE(16), height: png.readUInt32BE(20) });
