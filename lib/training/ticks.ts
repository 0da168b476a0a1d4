import type { Losses } from '../native.js';

/** The images are being read; several times a second until they are in memory. */
export interface LoadTick {
  type: 'load';
  /** Files read so far, and in all; 0 while files are still being looked for. */
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

/** The data is in memory and training begins. */
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
  /** Mean of each loss over the steps since the last tick (spec section 2). */
  losses: Losses;
  /** Files written since the last tick. */
  wrote: string[];
}

/** The last tick: everything is on disk. */
export interface EndTick {
  type: 'end';
  stopped: 'finished' | 'aborted';
  step: number;
  steps: number;
  images: number;
  seconds: number;
  /** Paths; absent when the run was aborted before its first step. */
  checkpoint?: string;
  samples?: string;
  lossCurve?: string;
}

/** What train() yields, told apart by `type`. */
export type Tick = LoadTick | NoteTick | BeginTick | StepsTick | EndTick;
