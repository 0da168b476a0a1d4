/**
 * Settings that are fine one by one and at odds with each other. Each rule looks at the resolved settings alone, not
 * at who gave them: a config that passed once, such as a checkpoint's, passes again.
 */
import { ConfigError } from '../errors.js';
import { type Config, type ConfigKey, LEAST_SIZE_OF_SWD, METRIC_NAMES, OF_FEATURES } from './schema.js';

/** The fault, naming both keys and their values, and what to do. */
interface Conflict {
  field: ConfigKey;
  message: string;
}

type Rule = (config: Config) => Conflict | undefined;

const RULES: readonly Rule[] = [
  evenPasses,
  warmupWithinRun,
  decayingRate,
  warmupOfRepulsion,
  marginOfForm,
  shiftOfPixels,
  shareOfCycle,
  extractorForFeatures,
  sizeForDistance,
  measuredNames,
];

/** Throws ConfigError for the first two keys that disagree. */
export function crossCheck(config: Config): void {
  for (const rule of RULES) {
    const conflict = rule(config);
    if (conflict === undefined) continue;
    const { field, message } = conflict;
    throw new ConfigError(message, { field, value: config[field] });
  }
}

function evenPasses({ batchSize, accumulate }: Config): Conflict | undefined {
  if (batchSize % accumulate === 0) return undefined;
  return {
    field: 'accumulate',
    message: `batchSize = ${batchSize} is no multiple of accumulate = ${accumulate}: each pass takes as many images; change one of the two`,
  };
}

function warmupWithinRun({ learningRateWarmup, steps }: Config): Conflict | undefined {
  if (learningRateWarmup <= steps) return undefined;
  return {
    field: 'learningRateWarmup',
    message: `learningRateWarmup = ${learningRateWarmup} is longer than the run, steps = ${steps}: lower the first or raise the second`,
  };
}

function decayingRate({
  learningRate,
  learningRateFinal,
  learningRateSchedule,
}: Config): Conflict | undefined {
  if (learningRateSchedule === 'constant' || learningRateFinal <= learningRate) return undefined;
  return {
    field: 'learningRateFinal',
    message: `learningRateFinal = ${learningRateFinal} is larger than learningRate = ${learningRate}: a ${learningRateSchedule} schedule falls from the second to the first; for a rise at the beginning use learningRateWarmup`,
  };
}

function warmupOfRepulsion({ repulsionWarmup, repulsionWeight }: Config): Conflict | undefined {
  if (repulsionWarmup === 0 || repulsionWeight > 0) return undefined;
  return {
    field: 'repulsionWarmup',
    message: `repulsionWarmup = ${repulsionWarmup} has nothing to raise, since repulsionWeight = 0: set both or neither`,
  };
}

function shiftOfPixels({ reverserShift, imageSize }: Config): Conflict | undefined {
  if (reverserShift === 0 || reverserShift * imageSize >= 0.5) return undefined;
  return {
    field: 'reverserShift',
    message: `reverserShift = ${reverserShift} is less than half a pixel of imageSize = ${imageSize}, and shifts nothing: raise it, to 0.125 for example, or set 0`,
  };
}

function shareOfCycle({ reconstructionShare, pairing }: Config): Conflict | undefined {
  if (reconstructionShare === 0 || pairing === 'cycle') return undefined;
  return {
    field: 'reconstructionShare',
    message: `reconstructionShare = ${reconstructionShare} does not go with pairing = ${pairing}: only the cycle has reconstructions; set 0, or pairing = cycle`,
  };
}

function marginOfForm({ repulsionForm, repulsionMargin }: Config): Conflict | undefined {
  if (repulsionForm === 'hinge' || repulsionMargin > 0) return undefined;
  return {
    field: 'repulsionMargin',
    message: `repulsionMargin = 0 does not go with repulsionForm = ${repulsionForm}, which fades out over margins: raise it`,
  };
}

function extractorForFeatures({ metrics, extractor }: Config): Conflict | undefined {
  const needing = metrics.find((name) => OF_FEATURES.has(name));
  if (needing === undefined || extractor !== undefined) return undefined;
  return {
    field: 'metrics',
    message: `metrics = ${metrics.join(',')} and no extractor: ${needing} needs features of images; name a TorchScript file as extractor, or leave ${needing} out`,
  };
}

function sizeForDistance({ metricEvery, metrics, imageSize }: Config): Conflict | undefined {
  if (metricEvery === 0 || imageSize >= LEAST_SIZE_OF_SWD || !metrics.includes('swd')) return undefined;
  return {
    field: 'metrics',
    message: `metrics = ${metrics.join(',')} does not go with imageSize = ${imageSize}: swd needs ${LEAST_SIZE_OF_SWD} pixels or more; leave it out of metrics`,
  };
}

/** A rule that waits for a number which is never measured would wait forever. */
function measuredNames(config: Config): Conflict | undefined {
  const { metrics, metricEvery, penaltyWeight, plateau, keepBest, targets } = config;
  const users: [ConfigKey, string | undefined][] = [
    ['plateau', plateau],
    ['keepBest', keepBest],
    ...targets.map((target): [ConfigKey, string] => ['targets', target]),
  ];
  for (const [field, value] of users) {
    const name = /^\w+/.exec(value ?? '')?.[0];
    if (name === undefined) continue;
    const refuse = (reason: string): Conflict => ({ field, message: `${field} = ${value}: ${reason}` });
    if (name === 'gp' && penaltyWeight === 0)
      return refuse('there is no gradient penalty, since penaltyWeight = 0');
    if (!(METRIC_NAMES as readonly string[]).includes(name)) continue;
    if (!(metrics as readonly string[]).includes(name))
      return refuse(`metrics = ${metrics.join(',') || 'none'} does not measure ${name}; add it there`);
    if (metricEvery === 0)
      return refuse(`${name} is never measured, since metricEvery = 0; set metricEvery to a number of steps`);
  }
  return undefined;
}
