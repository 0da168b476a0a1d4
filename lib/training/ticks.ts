import type { MetricName } from '../config/schema.js';
import type { MeanLosses } from './loss-history.js';

/** The images are being prepared; several times a second until they are ready. */
export interface LoadTick {
  type: 'load';
  /** Images done so far, and in all; 0 while that is not known. */
  done: number;
  total: number;
}

/** A remark: something that went wrong without ending the run, or something good to know. */
export interface NoteTick {
  type: 'note';
  level: 'info' | 'warning';
  /** One line. */
  message: string;
}

/** The data is ready and training begins. */
export interface BeginTick {
  type: 'begin';
  /** Images to train on. */
  images: number;
  /** Files that could not be used; the run folder's skipped.jsonl lists them all. */
  skipped: { path: string; reason: string }[];
  steps: number;
  /** Steps done before, in a run that is continued; otherwise 0. */
  step: number;
  /** Checkpoint that the run is continued from. */
  checkpoint?: string;
  /** Files written so far. */
  wrote: string[];
}

/** Some steps are done; about four times a second, or once a step where steps are slower. */
export interface StepsTick {
  type: 'steps';
  /** Steps done, and to do in all. */
  step: number;
  steps: number;
  /** Real images seen, repetitions counted. */
  images: number;
  imagesPerSecond: number;
  /** Seconds of training so far, those before a break included, and about how many are left. */
  seconds: number;
  secondsLeft: number;
  /** Seconds for a thousand images, at the present rate. */
  secondsPerKimg: number;
  /** Mean of each loss over the steps since the last tick (spec section 2); skipped steps are left out. */
  losses: MeanLosses;
  /** The same, smoothed over the last hundred steps or so. */
  smoothed: MeanLosses;
  /** Latest values of the metrics, by name; empty before the first evaluation. */
  metrics: Partial<Record<MetricName, number>>;
  /** Steps skipped so far, for a loss or gradient was not finite. */
  skipped: number;
  /** The learning rate of the latest step. */
  learningRate: number;
  /** Memory in use, in bytes: the process's resident memory on a CPU. */
  memory: number;
  /** Files written since the last tick. */
  wrote: string[];
}

/** The last tick: everything is on disk. */
export interface EndTick {
  type: 'end';
  /** Why: all steps done, the caller's wish, or a limit or target of the settings. */
  stopped: 'finished' | 'aborted' | 'images' | 'time' | 'targets' | 'plateau';
  /** The limit, target or plateau that ended the run, in words. */
  reason?: string;
  step: number;
  steps: number;
  images: number;
  seconds: number;
  /** Latest values of the metrics, by name; absent in a run that measured none. */
  metrics?: Partial<Record<MetricName, number>>;
  /** Paths; absent when the run was aborted before its first step. */
  checkpoint?: string;
  /** The best checkpoint by `keepBest`; absent without, and when none was written. */
  best?: string;
  samples?: string;
  lossCurve?: string;
  /** A page with settings, curves and pictures. */
  report?: string;
  /** Files written since the tick before. */
  wrote: string[];
}

/** What train() yields, told apart by `type`. */
export type Tick = LoadTick | NoteTick | BeginTick | StepsTick | EndTick;
