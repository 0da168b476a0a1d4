/** TensorBoard's messages: the part of tensorflow/core/util/event.proto and summary.proto that a run uses. */
import { encodeMessage, int64In, type Message } from '../../protobuf.js';

/** One event: what happened at a step. */
export interface Event {
  /** Seconds since 1970. */
  wallTime: number;
  step: number;
  /** First event of a file alone. */
  fileVersion?: string;
  summary?: { value: SummaryValue[] };
  /** START tells a reader to forget what it has of this step and later ones. */
  sessionLog?: { status: number };
}

export interface SummaryValue {
  tag: string;
  simpleValue?: number;
  image?: { height: number; width: number; colorspace: number; encodedImageString: Uint8Array };
}

/** The version of the format; readers look for it in a file's first event. */
export const FILE_VERSION = 'brain.Event:2';
export const SESSION_START = 1;

const SummaryImage = {
  height: { type: 'int32', id: 1 },
  width: { type: 'int32', id: 2 },
  colorspace: { type: 'int32', id: 3 },
  encodedImageString: { type: 'bytes', id: 4 },
} as const satisfies Message;
const SummaryValue = {
  tag: { type: 'string', id: 1 },
  simpleValue: { type: 'float', id: 2 },
  image: { type: SummaryImage, id: 4 },
} as const satisfies Message;
const Event = {
  wallTime: { type: 'double', id: 1 },
  step: { type: 'int64', id: 2 },
  fileVersion: { type: 'string', id: 3 },
  summary: { type: { value: { repeated: true, type: SummaryValue, id: 1 } }, id: 5 },
  sessionLog: { type: { status: { type: 'int32', id: 1 } }, id: 7 },
} as const satisfies Message;

export const encodeEvent = (event: Event): Uint8Array => encodeMessage(Event, event);

/** The step of an encoded event, 0 where it names none. Throws when `bytes` are no event. */
export const stepOfEvent = (bytes: Uint8Array): number => int64In(bytes, Event.step.id);
