import { brief } from './shown.js';

/** The stable codes of every error that san-native throws. docs/errors.md says what to do about each. */
export type ErrorCode =
  | 'ERR_SAN_USAGE'
  | 'ERR_SAN_CONFIG'
  | 'ERR_SAN_DATA_NOT_FOUND'
  | 'ERR_SAN_DATA_EMPTY'
  | 'ERR_SAN_DATA_FORMAT'
  | 'ERR_SAN_DATA_CHANGED'
  | 'ERR_SAN_OUTPUT'
  | 'ERR_SAN_CHECKPOINT_NOT_FOUND'
  | 'ERR_SAN_CHECKPOINT_FORMAT'
  | 'ERR_SAN_CHECKPOINT_MISMATCH'
  | 'ERR_SAN_LIBTORCH_NOT_FOUND'
  | 'ERR_SAN_BUILD'
  | 'ERR_SAN_ADDON'
  | 'ERR_SAN_OPTIONS'
  | 'ERR_SAN_SHAPE'
  | 'ERR_SAN_OUT_OF_MEMORY'
  | 'ERR_SAN_NON_FINITE'
  | 'ERR_SAN_EXTRACTOR'
  | 'ERR_SAN_DEVICE'
  | 'ERR_SAN_RENDEZVOUS'
  | 'ERR_SAN_RANK_LOST'
  | 'ERR_SAN_DISPOSED'
  | 'ERR_SAN_NATIVE';

/** Where the fault is: whichever of these apply. */
export interface ErrorDetails {
  /** File or folder concerned. */
  path?: string;
  /** Option, config key or tensor name concerned. */
  field?: string;
  /** The offending value; one that is large, in few words. */
  value?: unknown;
}

/** Base of all errors thrown on purpose. The message says what was wrong, where, and what to do, in one line. */
export class SanError extends Error {
  readonly code: ErrorCode;
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.details = 'value' in details ? { ...details, value: brief(details.value) } : details;
    this.name = new.target.name;
  }
}

/** The command line itself was wrong: unknown command or flag, missing argument. Exit status 2. */
export class UsageError extends SanError {
  constructor(message: string, details?: ErrorDetails) {
    super('ERR_SAN_USAGE', message, details);
  }
}

/** A configuration value or key is not acceptable. */
export class ConfigError extends SanError {
  constructor(message: string, details?: ErrorDetails) {
    super('ERR_SAN_CONFIG', message, details);
  }
}

/** The training data cannot be used. */
export class DataError extends SanError {}

/** The output place cannot be used. */
export class OutputError extends SanError {
  constructor(message: string, details?: ErrorDetails, options?: ErrorOptions) {
    super('ERR_SAN_OUTPUT', message, details, options);
  }
}

/** A checkpoint is missing, damaged, or of another shape than asked for. */
export class CheckpointError extends SanError {}

/** LibTorch or the addon could not be found, built or loaded. */
export class SetupError extends SanError {}

/** An error raised by the native half; `code` says which kind. */
export class NativeError extends SanError {}
