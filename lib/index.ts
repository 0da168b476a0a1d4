/** The public API of san-native. Whatever type its signatures lead to is named here: test/unit/types.test.ts. */
export type { DamagedCheckpoint } from './checkpoint/checkpoint.js';
export type { NetworkName } from './checkpoint/parameters.js';
export type { PresetName } from './config/presets.js';
export type { Config, ConfigInput, Measured, MetricName } from './config/schema.js';
export type { Skipped } from './data/folder.js';
export {
  type DataReport,
  type InspectControl,
  type InspectOptions,
  inspectData,
  type Tally,
} from './data/inspect.js';
export { createLoader } from './data/loader.js';
export {
  type PrepareControl,
  type Prepared,
  type PrepareOptions,
  type PrepareProgress,
  prepare,
} from './data/prepared/prepare.js';
export type { PreparedSet } from './data/prepared/prepared-set.js';
export { type RankOptions, rankFromEnvironment } from './distributed/ranks.js';
export * from './errors.js';
export {
  type Exported,
  type ExportedNetwork,
  type ExportOptions,
  exportOnnx,
  type OnnxValue,
} from './export/export.js';
export type { OnnxPixels } from './export/networks.js';
export type { GenerateControl, GenerateProgress, GenerateSummary } from './generation/generate-to.js';
export {
  type PrecisionError,
  type PrecisionErrorOptions,
  precisionError,
} from './generation/precision-error.js';
export {
  type BatchSize,
  type GenerateOptions,
  type GenerateToOptions,
  type LoadOptions,
  San,
  type StreamOptions,
} from './generation/san.js';
export type { IndexedImages } from './generation/stream.js';
export { type Inspection, inspectCheckpoint, type TensorSummary } from './inspect/inspect.js';
export type { MeasureControl } from './metrics/blocks.js';
export { type EvaluateOptions, type Evaluation, evaluate } from './metrics/evaluate.js';
export type { MetricValues } from './metrics/sampler.js';
export type {
  AugmentationOptions,
  Device,
  Dtype,
  Estimator,
  ImageBatch,
  InferencePrecision,
  LatentBatch,
  LoaderOptions,
  LossName,
  NativeLoader,
  Pairing,
  Peak,
  Precision,
  SampleOptions,
  Truncation,
} from './native.js';
export { type Arithmetic, type Profile, type ProfileOptions, profile } from './profiling/profile.js';
export type { DeviceSummary, ProfileSummary, TimeShare } from './profiling/summary.js';
export type { Endpoint } from './reverser/ends.js';
export {
  type Changes,
  type Interpolated,
  type InterpolateOptions,
  interpolateImages,
  type Pace,
  type Way,
  type WayOptions,
} from './reverser/interpolate.js';
export type {
  AmongReal,
  FoundNeighbor,
  ImageNeighbors,
  NearestImages,
  NearestImagesOptions,
  Spread,
} from './reverser/nearest-images.js';
export {
  findNeighbors,
  type GeneratedNeighbors,
  type Neighborhood,
  type NeighborsOptions,
} from './reverser/neighbors.js';
export { type Reconstructed, type ReconstructOptions, reconstructImages } from './reverser/reconstruct.js';
export { type Reversed, type ReverseOptions, reverseImages } from './reverser/reverse.js';
export { type Scored, type ScoreOptions, scoreImages, scoreReference } from './reverser/score.js';
export type { ImageMeasures, ImageScore, LogStatistics, ScoreReference } from './reverser/scores.js';
export type { DrawnWay } from './reverser/way.js';
export type { MemoryEstimate, PartParameters, StateBytes, StepFlops } from './training/cost.js';
export { type DryRun, type DryRunControl, type DryRunOptions, dryRun } from './training/dry-run.js';
export type { Log, LogEvent } from './training/log.js';
export type { MeanLosses } from './training/loss-history.js';
export { previewAugmentation } from './training/preview-augmentation.js';
export type { BeginTick, EndTick, LoadTick, NoteTick, StepsTick, Tick } from './training/ticks.js';
export { type TrainControl, type TrainOptions, train } from './training/train.js';
