/** TensorBoard's messages: the part of tensorflow/core/util/event.proto and summary.proto that a run uses. */
import protobuf from 'protobufjs/light.js';

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

const EventType = protobuf.Root.fromJSON({
  nested: {
    Event: {
      fields: {
        wallTime: { type: 'double', id: 1 },
        step: { type: 'int64', id: 2 },
        fileVersion: { type: 'string', id: 3 },
        summary: { type: 'Summary', id: 5 },
        sessionLog: { type: 'SessionLog', id: 7 },
      },
    },
    SessionLog: { fields: { status: { type: 'int32', id: 1 } } },
    Summary: { fields: { value: { rule: 'repeated', type: 'SummaryValue', id: 1 } } },
    SummaryValue: {
      fields: {
        tag: { type: 'string', id: 1 },
        simpleValue: { type: 'float', id: 2 },
        image: { type: 'SummaryImage', id: 4 },
      },
    },
    SummaryImage: {
      fields: {
        height: { type: 'int32', id: 1 },
        width: { type: 'int32', id: 2 },
        colorspace: { type: 'int32', id: 3 },
        encodedImageString: { type: 'bytes', id: 4 },
      },
    },
  },
}).lookupType('Event');

export const encodeEvent = (event: Event): Uint8Array => EventType.encode(event).finish();

/** The step of an encoded event, 0 where it names none. Throws when `bytes` are no event. */
export function stepOfEvent(bytes: Uint8Array): number {
  const { step } = EventType.decode(bytes) as unknown as { step: number | { toNumber(): number } };
  return typeof step === 'number' ? step : step.toNumber();
}
