/**
 * Messages of protocol buffers by tables of their fields. protobufjs' own tables make functions from text, which a process may
 * forbid: node --disallow-code-generation-from-strings.
 */
import protobuf from 'protobufjs/minimal.js';

const WIRE_TYPES = { double: 1, float: 5, int32: 0, int64: 0, string: 2, bytes: 2 } as const;
const LENGTH_DELIMITED = 2;

export interface Field {
  id: number;
  type: keyof typeof WIRE_TYPES | Message;
  /** The value is an array; numbers are not packed. */
  repeated?: boolean;
}

/** In the order of ids. */
export type Message = Readonly<Record<string, Field>>;

/** The bytes of a message. A field that `value` lacks is left out, and so is a single 0 or empty text, for which it stands. */
export function encodeMessage(message: Message, value: object): Uint8Array {
  const writer = protobuf.Writer.create();
  write(writer, message, value as Record<string, unknown>);
  return writer.finish();
}

function write(writer: protobuf.Writer, message: Message, value: Record<string, unknown>): void {
  for (const [name, { id, type, repeated }] of Object.entries(message)) {
    const given = value[name];
    if (given === undefined || (!repeated && isDefault(given))) continue;
    for (const item of repeated ? (given as unknown[]) : [given]) {
      if (typeof type === 'string') {
        (writer.uint32(tag(id, WIRE_TYPES[type]))[type] as (item: unknown) => void)(item);
      } else {
        writer.uint32(tag(id, LENGTH_DELIMITED)).fork();
        write(writer, type, item as Record<string, unknown>);
        writer.ldelim();
      }
    }
  }
}

/** The int64 of a message's field `id`, 0 where there is none. Throws when `bytes` are no message. */
export function int64In(bytes: Uint8Array, id: number): number {
  const reader = protobuf.Reader.create(bytes);
  let found = 0;
  while (reader.pos < reader.len) {
    const next = reader.uint32();
    if (next === tag(id, WIRE_TYPES.int64)) found = Number(reader.int64());
    else reader.skipType(next & 7);
  }
  return found;
}

const isDefault = (value: unknown): boolean =>
  Object.is(value, 0) || value === '' || (value instanceof Uint8Array && value.length === 0);

const tag = (id: number, wireType: number): number => (id << 3) | wireType;
